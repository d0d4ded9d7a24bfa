"""``ascend-ops build``: compile ops into the cache before a program needs them."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import typer

from op_builder import envs
from op_builder.builder import OpBuilder, with_required
from op_builder.cross import build_for_machine, builder_for
from op_builder.errors import AscendOpsError
from op_builder.jit import publish
from op_builder.jit.run_ninja import Progress, ProgressListener
from op_builder.registry import all_builders, builder_of
from op_builder.report.compile_commands import compile_commands
from op_builder.toolchain.jobs import compile_jobs

from ..dispatch.loading import build_progress
from .output import JsonFlag, fail, op_names, print_json, print_table, print_text

TargetOption = Annotated[
    str | None,
    typer.Option(help="Build for this machine, for example aarch64, with a cross compiler."),
]
OutputOption = Annotated[
    Path | None,
    typer.Option(help="With --target: the folder that becomes its site cache.", file_okay=False),
]


def build(
    ops: Annotated[
        list[str] | None,
        typer.Argument(help="Names of ops.", show_default=False, autocompletion=op_names),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Build every op that can be built on this machine.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Rebuild ops even if they are cached.")
    ] = False,
    compile_commands_file: Annotated[
        Path | None,
        typer.Option(
            "--compile-commands",
            help="Write this compile_commands.json instead of compiling.",
        ),
    ] = None,
    target: TargetOption = None,
    output: OutputOption = None,
    json: JsonFlag = False,
) -> None:
    """Build ops, and the libraries that they require, into the user's cache.

    This requires a compiler, but neither an NPU nor its driver.
    """
    if bool(ops) == every:
        raise typer.BadParameter("name the ops to build, or give --all")
    if (target is None) != (output is None):
        raise typer.BadParameter("--target and --output must be given together")
    machine = target or OpBuilder.machine
    named = _all_compatible(machine) if every else [builder_of(op) for op in ops or []]
    required = with_required(type(builder) for builder in named)
    builders = [_for_machine(cls, machine) for cls in required]
    if compile_commands_file is not None:
        _write_compile_commands(builders, compile_commands_file, json)
        return
    results = _build(builders, again, output)
    _print_results(results, json)
    failures = [result for result in results if result["outcome"] == "failed"]
    for failure in failures:
        fail(failure["error"])
    if failures:
        raise typer.Exit(1)


def _print_results(results: list[dict[str, Any]], json: bool) -> None:
    if json:
        print_json({"ops": results})
    else:
        rows = [
            (result["op"], result["outcome"], f"{result['seconds']:.2f}", result["library"])
            for result in results
        ]
        print_table("Builds", ("op", "outcome", "seconds", "library"), rows)


def _write_compile_commands(builders: list[OpBuilder], file: Path, json: bool) -> None:
    file.write_text(compile_commands(builder.plan() for builder in builders), encoding="utf-8")
    if json:
        print_json({"compile_commands": str(file)})
    else:
        print_text("wrote", file)


def _for_machine(cls: type[OpBuilder], machine: str) -> OpBuilder:
    try:
        return builder_for(cls, machine)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--target") from error


def _all_compatible(machine: str) -> list[OpBuilder]:
    classes = [cls for cls in all_builders().values() if not cls.ONLY_BY_NAME]
    builders = [_for_machine(cls, machine) for cls in classes]
    return [builder for builder in builders if builder.is_compatible(verbose=True)]


def _build(builders: list[OpBuilder], again: bool, output: Path | None) -> list[dict[str, Any]]:
    """Build the ops with the most files first, so that none of them starts last.

    Several ops are built at once, since one alone leaves cores idle while it links. However, an op
    with more than a third of the files gets all jobs: with a share of them it would end long after
    the others.
    """
    jobs = compile_jobs(envs.process_environment()).count
    together = sorted(builders, key=lambda builder: -len(builder.sources()))
    results = {}
    with build_progress() as on_progress:
        while together and _outweighs(together[0], together):
            builder = together.pop(0)
            results[builder] = _build_one(builder, again, output, jobs, on_progress)
        each = max(1, jobs // max(1, len(together)))
        with ThreadPoolExecutor(jobs) as pool:
            rest = (again, output, each, on_progress)
            waiting = [pool.submit(_build_one, builder, *rest) for builder in together]
        results.update(zip(together, (w.result() for w in waiting), strict=True))
    return [results[builder] for builder in builders]


def _outweighs(builder: OpBuilder, all_of_them: list[OpBuilder]) -> bool:
    return 3 * len(builder.sources()) > sum(len(each.sources()) for each in all_of_them)


def _build_one(
    builder: OpBuilder,
    again: bool,
    output: Path | None,
    jobs: int,
    on_progress: ProgressListener,
) -> dict[str, Any]:
    started = time.monotonic()
    result = {"op": builder.NAME, "outcome": "cached", "library": "", "error": ""}

    def note(progress: Progress) -> None:
        result["outcome"] = "built"
        on_progress(progress)

    try:
        environ = {**envs.process_environment(), envs.MAX_JOBS.name: str(jobs)}
        if output is not None:
            entry = build_for_machine(builder, output, note, again=again, environ=environ)
        else:
            plan = builder.plan(environ)
            found = None if again else plan.find().entry
            entry = found or publish.build(plan, note, again=again)
            if found is None and result["outcome"] != "built" and entry.is_downloaded:
                result["outcome"] = "downloaded"
        result["library"] = str(entry.library)
    except (AscendOpsError, OSError) as error:
        result.update(outcome="failed", error=str(error))
    return {**result, "seconds": round(time.monotonic() - started, 3)}

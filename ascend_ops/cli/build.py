"""``ascend-ops build``: compile ops into the cache, before anybody waits for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from op_builder import envs, jit
from op_builder.builder import OpBuilder, with_required
from op_builder.compile_commands import compile_commands
from op_builder.errors import AscendOpsError
from op_builder.ninja import Progress, ProgressListener
from op_builder.registry import all_builders, builder_of
from op_builder.toolchain.jobs import compile_jobs

from ..loading import build_progress
from .output import JsonFlag, console, fail, print_json, print_table


def build(
    ops: Annotated[
        list[str] | None, typer.Argument(help="Ops by name.", show_default=False)
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Every op that can be built on this machine.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Compile even what is in the cache.")
    ] = False,
    compile_commands_file: Annotated[
        Path | None,
        typer.Option(
            "--compile-commands", help="Write this compile_commands.json; compile nothing."
        ),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Build ops, and the libraries they require, into the user's cache.

    Needs a compiler; no NPU, no driver.
    """
    if bool(ops) == every:
        raise typer.BadParameter("name the ops to build, or give --all")
    named = _all_compatible() if every else [builder_of(op) for op in ops or []]
    builders = [cls() for cls in with_required(type(builder) for builder in named)]
    if compile_commands_file is not None:
        text = compile_commands(builder.plan() for builder in builders)
        compile_commands_file.write_text(text, encoding="utf-8")
        console().print(f"wrote {compile_commands_file}")
        return
    results = _build(builders, again)
    if json:
        print_json({"ops": results})
    else:
        rows = [(r["op"], r["outcome"], f"{r['seconds']:.2f}", r["library"]) for r in results]
        print_table("Builds", ("op", "outcome", "seconds", "library"), rows)
    failures = [result for result in results if result["outcome"] == "failed"]
    for failure in failures:
        fail(failure["error"])
    if failures:
        raise typer.Exit(1)


def _all_compatible() -> list[OpBuilder]:
    builders = [cls() for cls in all_builders().values() if not cls.ONLY_BY_NAME]
    return [builder for builder in builders if builder.is_compatible(verbose=True)]


def _build(builders: list[OpBuilder], again: bool) -> list[dict[str, Any]]:
    """All of them, several at once where one alone would leave cores idle."""
    jobs = compile_jobs(envs.process_environment()).count
    slots = _Slots(jobs)
    with build_progress() as on_progress, ThreadPoolExecutor(jobs) as pool:
        waiting = [
            pool.submit(_build_one, builder, again, slots, on_progress) for builder in builders
        ]
        return [future.result() for future in waiting]


class _Slots:
    """As many as compilers may run at once."""

    def __init__(self, count: int) -> None:
        self._count = self._free = count
        self._freed = threading.Condition()

    @contextmanager
    def take(self, most: int) -> Iterator[int]:
        """``most`` of them or all there are, once so many are free."""
        taken = min(most, self._count)
        with self._freed:
            self._freed.wait_for(lambda: self._free >= taken)
            self._free -= taken
        try:
            yield taken
        finally:
            with self._freed:
                self._free += taken
                self._freed.notify_all()


def _build_one(
    builder: OpBuilder, again: bool, slots: _Slots, on_progress: ProgressListener
) -> dict[str, Any]:
    result = {"op": builder.NAME, "outcome": "cached", "library": "", "error": ""}

    def note(progress: Progress) -> None:
        result["outcome"] = "built"
        on_progress(progress)

    with slots.take(len(builder.sources())) as jobs:
        started = time.monotonic()
        environ = {**envs.process_environment(), envs.MAX_JOBS.name: str(jobs)}
        try:
            built = jit.build(builder.plan(environ), note, again=again)
            result["library"] = str(built.library)
        except AscendOpsError as error:
            result.update(outcome="failed", error=str(error))
        return {**result, "seconds": round(time.monotonic() - started, 3)}

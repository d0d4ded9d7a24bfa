"""``ascend-ops emulate``: start a program on an emulated NPU."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from op_builder import envs
from op_builder.system import process

from ..dispatch.loading import build_progress
from ..emulator import EmulatedCann, emulated_cann
from .output import JsonFlag, print_json, print_table, print_text

_TraceFile = Annotated[
    str | None,
    typer.Option(help="Write a Chrome trace to this file; %p stands for the process id."),
]
_KernelTraceFile = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Write a modelled timeline of kernels in Ascend C, per core and pipe, to this file; "
        "%p stands for the process id. It is computed from assumed costs: not a measurement, and "
        "not NPU speed.",
    ),
]


def emulate(
    command: Annotated[
        list[str] | None,
        typer.Argument(help="The program and its arguments, after `--`.", show_default=False),
    ] = None,
    devices: Annotated[int | None, typer.Option(help="Number of devices.")] = None,
    soc: Annotated[
        str | None, typer.Option(help="Ascend910B2, Ascend910_9382, Ascend950 ...")
    ] = None,
    races: Annotated[
        bool, typer.Option("--races", help="Report memory accesses that no stream or event orders.")
    ] = False,
    trace: _TraceFile = None,
    kernel_trace: _KernelTraceFile = None,
    coverage: Annotated[
        bool,
        typer.Option("--coverage", help="Show which functions of CANN are emulated."),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(help="With --coverage, write the Markdown page to this file instead."),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Run a program on an emulated NPU; without a program, show the emulated CANN.

    The emulated NPU computes on the CPU: its timings are not NPU performance. docs/emulator.md
    lists the ASCEND_EMULATOR_ variables for further options.
    """
    _check(command, json, coverage, output)
    _check_traces(command, {"--trace": trace, "--kernel-trace": kernel_trace})
    files = {"TRACE_FILE": trace, "KERNEL_TRACE": kernel_trace}
    options = _variables(DEVICES=devices, SOC=soc, RACES=int(races) or None, **files)
    environ = {**envs.process_environment(), **options}
    cann = _built(environ)
    if command:
        process.become(command, cann.program_environment(environ))
    elif coverage:
        _show_coverage(cann, json, output)
    elif json:
        _print_as_json(cann)
    else:
        print_text(f"emulated CANN {cann.version}:", cann.root)


def _check(command: list[str] | None, json: bool, coverage: bool, output: Path | None) -> None:
    """Refuse options that cannot be combined."""
    if (json or coverage) and command:
        option = "--coverage" if coverage else "--json"
        raise typer.BadParameter(
            f"{option} describes the emulated CANN; it cannot be used with a program"
        )
    if output is not None and (json or not coverage):
        raise typer.BadParameter("--output requires --coverage, and cannot be used with --json")


def _check_traces(command: list[str] | None, traces: Mapping[str, str | None]) -> None:
    """Refuse an empty file name, and a trace without a program."""
    for option, file in traces.items():
        if file == "":
            raise typer.BadParameter(f"{option} must be a file, got ''")
        if file is not None and not command:
            raise typer.BadParameter(
                f"{option} requires a program, as in `emulate {option} FILE -- python train.py`"
            )


def _variables(**options: object) -> dict[str, str]:
    """Return the emulator's variables for the options that were given."""
    given = {name: value for name, value in options.items() if value is not None}
    return {f"{envs.EMULATOR_PREFIX}{name}": str(value) for name, value in given.items()}


def _built(environ: Mapping[str, str]) -> EmulatedCann:
    """Return the emulated CANN, with a progress bar if it is built on a terminal."""
    if not sys.stderr.isatty():
        return emulated_cann(environ)
    with build_progress() as on_progress:
        return emulated_cann(environ, on_progress)


def _print_as_json(cann: EmulatedCann) -> None:
    libraries = list(map(str, cann.libraries))
    content = {"emulated": True, "version": cann.version, "root": str(cann.root)}
    print_json({**content, "libraries": libraries, "environment": cann.variables()})


def _show_coverage(cann: EmulatedCann, json: bool, output: Path | None) -> None:
    from ..emulator.coverage import STATES, counts, coverage
    from ..emulator.coverage_page import page

    found = coverage(cann)
    if output is not None:
        output.write_text(page(found), encoding="utf-8")
        return
    summary = {kind: {"all": len(rows), **counts(rows)} for kind, rows in found.items()}
    if json:
        print_json({"emulated": True, "version": cann.version, "counts": summary, **found})
        return
    for kind, rows in found.items():
        cells = [(row.name, row.state, row.check, row.limits) for row in rows]
        print_table(kind, ("name", "state", "check", "limits"), cells)
        print_text()
    totals = [(kind, *map(str, of_kind.values())) for kind, of_kind in summary.items()]
    print_table("Totals", ("group", "all", *STATES), totals)

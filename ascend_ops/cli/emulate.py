"""``ascend-ops emulate``: start a program on an emulated NPU."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from op_builder import envs
from op_builder.system import process

from ..dispatch.loading import build_progress
from ..emulator import emulated_cann
from .output import JsonFlag, print_json, print_text


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
    trace: Annotated[
        str | None,
        typer.Option(help="Write a Chrome trace to this file; %p stands for the process id."),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Run a program on an emulated NPU; without a program, show the emulated CANN.

    The emulated NPU computes on the CPU: its timings are not NPU performance. docs/emulator.md
    lists the ASCEND_EMULATOR_ variables for further options.
    """
    if json and command:
        raise typer.BadParameter(
            "--json describes the emulated CANN; it cannot be used with a program"
        )
    chosen = {"DEVICES": devices, "SOC": soc, "RACES": int(races) or None, "TRACE_FILE": trace}
    options = {
        f"{envs.EMULATOR_PREFIX}{name}": str(value)
        for name, value in chosen.items()
        if value is not None
    }
    environ = {**envs.process_environment(), **options}
    if sys.stderr.isatty():
        with build_progress() as on_progress:
            cann = emulated_cann(environ, on_progress)
    else:
        cann = emulated_cann(environ)
    if json:
        libraries = list(map(str, cann.libraries))
        content = {"emulated": True, "version": cann.version, "root": str(cann.root)}
        print_json({**content, "libraries": libraries, "environment": cann.variables()})
        return
    if not command:
        print_text(f"emulated CANN {cann.version}:", cann.root)
        return
    process.become(command, cann.program_environment(environ))

"""``ascend-ops emulate``: start a program on an emulated NPU."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from op_builder import envs
from op_builder.system import process

from ..dispatch.loading import build_progress
from ..emulator import emulated_cann
from .output import JsonFlag, console, print_json


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
        bool, typer.Option("--races", help="Report accesses that no event or stream orders.")
    ] = False,
    trace: Annotated[
        str | None, typer.Option(help="Write a Chrome trace; %p in the name is the process id.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Run a program whose torch_npu finds an emulated NPU; without one, show the emulated CANN.

    It computes on the CPU, and is no measure of an NPU's speed. docs/emulator.md lists the
    ASCEND_EMULATOR_ variables that set the rest.
    """
    if json and command:
        raise typer.BadParameter("--json describes the emulated CANN and starts no program")
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
        console().print(f"emulated CANN {cann.version}: {cann.root}")
        return
    process.become(command, cann.program_environment(environ))

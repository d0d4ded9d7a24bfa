"""``ld.lld`` of the emulated CANN: makes a binary of kernels that a program can load."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from op_builder import envs
from op_builder.system import process

from .host_compiler import host_compiler, no_compiler

_VERSION = "LLD 15.0.5 (emulated: links kernels for the emulated AI core)\n"
_WITH_VALUE = frozenset(["-m", "-Ttext", "-T", "-e", "-z", "--entry"])


def main(cann: Path, arguments: Sequence[str]) -> int:
    """Run ``ld.lld`` of the emulated CANN ``cann``. Returns the exit code.

    The options place code in a device's memory, so only inputs and ``-o`` matter here.
    """
    if "--version" in arguments or "-v" in arguments:
        sys.stdout.write(_VERSION)
        return 0
    inputs, output = _inputs_and_output(arguments)
    missing = next((name for name in inputs if not Path(name).is_file()), None)
    compiler = host_compiler()
    if not inputs or missing is not None or compiler is None:
        reason = (
            "no input files"
            if not inputs
            else f"cannot open {missing}: no such file"
            if missing is not None
            else no_compiler()
        )
        sys.stderr.write(f"ld.lld (emulated): error: {reason}\n")
        return 1
    process.become(
        [compiler, "-shared", *inputs, "-o", output, f"-L{cann / 'lib64'}", "-lascendc_emulated"],
        envs.process_environment(),
    )


def _inputs_and_output(arguments: Sequence[str]) -> tuple[list[str], str]:
    inputs: list[str] = []
    output = "a.out"
    iterator = iter(arguments)
    for argument in iterator:
        if argument == "-o":
            output = next(iterator, output)
        elif argument in _WITH_VALUE:
            next(iterator, None)
        elif not argument.startswith("-"):
            inputs.append(argument)
    return inputs, output

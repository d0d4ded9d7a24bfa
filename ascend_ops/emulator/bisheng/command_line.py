"""What a command line of ``bisheng`` requests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from op_builder.cann.npu_arch import arch_of
from op_builder.errors import AscendOpsError

_ARCH_OPTIONS = ("--npu-arch=", "--cce-aicore-arch=", "--cce-soc-version=", "--npu-soc=")
# Options of the device's code generator, which a host compiler has nothing for.
_DEVICE_PREFIXES = ("--cce-", "--asc-", "--gcc-toolchain", "--sysroot", "--target=")
_DEVICE_OPTIONS = frozenset(["--enable-asc", "-cce-enable-plugin", "-dc"])
# What stands between them is for the device or for the host; here one compiler takes both.
_DEVICE_OPTIONS |= frozenset(["-Xaicore-start", "-Xaicore-end", "-Xhost-start", "-Xhost-end"])
_DEVICE_ONLY = ("--cce-aicore-only", "--aicore-only")
_NAME_EXPRESSION = "--aicore-name-expression="
_LAUNCH_FUNCTIONS = "--aicore-launch-functions="
_LANGUAGES = frozenset(["asc", "cce"])
_WITH_VALUE = frozenset(["-o", "-I", "-D", "-U", "-L", "-l", "-include", "-isystem", "-MF", "-MT"])
_WITH_VALUE |= frozenset(["-MQ", "-iquote", "-idirafter", "-Xlinker", "-T", "-u"])


class UsageError(ValueError):
    """A command line that the emulated ``bisheng`` does not take."""


@dataclass
class CommandLine:
    """A parsed command line.

    Attributes:
        kernels: Sources in Ascend C.
        inputs: Other inputs, in their order: host sources, objects, libraries.
        output: The file of ``-o``, or None.
        stops: ``-c``, ``-E`` or ``-S``; "" links.
        language: The value of the last ``-x`` flag, such as ``asc``; empty without that flag.
        arch: ``__NPU_ARCH__``.
        cores: 0 for vector cores or 1 for cube cores if the architecture names one kind, as
            ``dav-c220-vec`` does; else None.
        auto_sync: Whether the compiler inserts synchronisation (``--cce-auto-sync``).
        device_only: Whether only kernels are compiled, for a binary that a program loads
            (``--cce-aicore-only``, or ``--aicore-only``).
        name_expressions: Kernels that the binary must name by these expressions, for ``aclrtc``
            (``--aicore-name-expression=``, an option of the emulated ``bisheng`` only).
        launch_headers: The folder for headers of functions that launch the kernels, or None for no
            such functions (``--aicore-launch-functions=``, of the emulated ``bisheng`` only).
        compile_flags: Flags for the host compiler.
        link_flags: Flags for linking.
    """

    kernels: list[Path] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    output: Path | None = None
    stops: str = ""
    language: str = ""
    arch: int = 2201
    cores: int | None = None
    auto_sync: bool = True
    device_only: bool = False
    name_expressions: list[str] = field(default_factory=list)
    launch_headers: Path | None = None
    compile_flags: list[str] = field(default_factory=list)
    link_flags: list[str] = field(default_factory=list)


def parse(arguments: Sequence[str]) -> CommandLine:
    """Parse the arguments of ``bisheng``.

    Raises:
        UsageError: An option has no value, or an architecture is not known.

    Example:
        >>> from ascend_ops.emulator.bisheng.command_line import parse
        >>> line = parse(["-x", "asc", "--npu-arch=dav-2201", "-shared", "add.cpp", "-o", "add.so"])
        >>> [str(kernel) for kernel in line.kernels], line.arch
        (['add.cpp'], 2201)
    """
    line = CommandLine()
    language = ""
    iterator = iter(arguments)
    for argument in iterator:
        if argument == "-x":
            language = _value(argument, iterator)
            if language not in _LANGUAGES:
                line.compile_flags += ["-x", language]
        elif argument.startswith("-x") and argument[2:] in (*_LANGUAGES, "c++", "c"):
            language = argument[2:]
        elif argument in ("-mllvm", "-Xclang"):
            _value(argument, iterator)
        elif argument.startswith(_ARCH_OPTIONS):
            line.arch = _arch(argument)
            line.cores = {"vec": 0, "cube": 1}.get(argument.rpartition("-")[2])
        elif argument.startswith("--cce-auto-sync"):
            line.auto_sync = argument != "--cce-auto-sync=off"
        elif argument.startswith(_NAME_EXPRESSION):
            line.name_expressions.append(argument.removeprefix(_NAME_EXPRESSION))
        elif argument.startswith(_LAUNCH_FUNCTIONS):
            line.launch_headers = Path(argument.removeprefix(_LAUNCH_FUNCTIONS))
        elif argument in _DEVICE_ONLY:
            line.device_only = True
        elif argument.startswith("--run-mode"):
            line.compile_flags.append("-DASCENDC_CPU_DEBUG" if argument.endswith("cpu") else "")
        elif not _is_device_option(argument):
            _take(line, argument, iterator, language)
    line.language = language
    line.compile_flags = [flag for flag in line.compile_flags if flag]
    if line.device_only and not line.stops and "-shared" not in line.link_flags:
        line.stops = "-c"  # ld.lld makes the binary
    return line


def _take(line: CommandLine, argument: str, rest: Iterator[str], language: str) -> None:
    """Take an option or an input that the host compiler has as well."""
    if argument in ("-c", "-E", "-S"):
        line.stops = argument
    elif argument == "--shared" or argument == "-shared":
        line.link_flags.append("-shared")
    elif argument.startswith("-o") and len(argument) > 2:
        line.output = Path(argument[2:])
    elif argument in _WITH_VALUE:
        value = _value(argument, rest)
        if argument == "-o":
            line.output = Path(value)
        elif argument in ("-L", "-l", "-Xlinker", "-T", "-u"):
            target = line.inputs if argument == "-l" else line.link_flags
            target += [argument + value] if argument in ("-L", "-l") else [argument, value]
        else:
            line.compile_flags += [argument, value]
    elif argument.startswith("-l"):
        line.inputs.append(argument)
    elif argument.startswith(("-L", "-Wl,", "-rdynamic", "-static", "-pthread")):
        line.link_flags.append(argument)
    elif argument.startswith("-") and argument != "-":
        line.compile_flags.append(argument)
    elif language in _LANGUAGES or (not language and Path(argument).suffix in (".asc", ".cce")):
        if Path(argument).suffix in (".o", ".a", ".so"):
            line.inputs.append(argument)
        else:
            line.kernels.append(Path(argument))
    else:
        line.inputs.append(argument)


def _value(option: str, rest: Iterator[str]) -> str:
    value = next(rest, None)
    if value is None:
        raise UsageError(f"{option} must be followed by a value")
    return value


def _is_device_option(argument: str) -> bool:
    return argument in _DEVICE_OPTIONS or argument.startswith(_DEVICE_PREFIXES)


def _arch(argument: str) -> int:
    option, _, value = argument.partition("=")
    try:
        return arch_of(value).number
    except AscendOpsError as error:
        raise UsageError(f"{option}: {error}") from error

"""``bisheng`` of the emulated CANN: compiles and links with the host's C++ compiler."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from op_builder import envs
from op_builder.errors import CommandError
from op_builder.system import process

from .command_line import CommandLine, UsageError, parse
from .host_compiler import host_compiler, no_compiler
from .kernels import Kernels, entry_points, find_kernels
from .launch_functions import launch_functions, workspace_of, write_headers
from .launches import AICORE_ATTRIBUTE, LaunchSyntaxError, rewrite
from .missing import advice
from .passes import differ, link_passes, without_lists
from .precompiled import precompiled_header
from .preprocessed import KEEP_KERNELS, own_text
from .specializations import constrain_specializations
from .ub_arrays import declares_ub_arrays, place_ub_arrays

#: Where the emulated CANN keeps what kernels include.
HEADERS = "include"
_NEW_STANDARDS = frozenset(["20", "2a", "23", "2b", "26", "2c"])
_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"\n]+)"[^\n]*$', re.MULTILINE)
_VERSION = (
    "bisheng of the emulated CANN: compiles Ascend C for the emulated AI core\n"
    "clang version 15.0.5 (emulated)\nTarget: hiipu64-hisilicon-cce\nhost compiler: {compiler}\n"
)


class Driver:
    """One run of ``bisheng``.

    Args:
        cann: The emulated CANN.
        compiler: The host's C++ compiler.
    """

    def __init__(self, cann: Path, compiler: str) -> None:
        self._cann = cann
        self._compiler = compiler

    def run(self, line: CommandLine) -> int:
        """Compile, and link unless the command line stops before. Returns the exit code."""
        with tempfile.TemporaryDirectory(prefix="bisheng-") as folder:
            objects: list[str] = []
            for number, kernel in enumerate(line.kernels):
                built = self._object(line, kernel, Path(folder), number)
                code = self._compile(line, kernel, built, Path(folder) / f"{number}.cpp")
                if code != 0 or line.stops in ("-E", "-S"):
                    return code
                objects.append(str(built))
            if not line.stops:
                return self._link(line, [*objects, *line.inputs])
        return self._compile_others(line)  # may become the compiler, so the folder goes before

    def _object(self, line: CommandLine, kernel: Path, folder: Path, number: int) -> Path:
        if line.stops:
            return line.output or Path(kernel.with_suffix(".o").name)
        return folder / f"{number}.o"

    def _compile(self, line: CommandLine, kernel: Path, built: Path, rewritten: Path) -> int:
        texts, includes = _texts(kernel, line, self._cann / HEADERS)
        kernels = find_kernels(texts.values())
        if line.cores is not None and not line.device_only:  # a binary is linked from both passes
            kernels = kernels.only_on(line.cores)
        _write_rewritten(kernel, texts, includes, kernels, rewritten)
        in_passes = kernels.cores == 2 and line.stops in ("", "-c") and differ(texts.values())
        command = self._command(line, kernels, kernel, 0 if in_passes else kernels.cores)
        if line.device_only or line.launch_headers is not None:
            preprocessed = self._preprocessed(line, command, rewritten)
            if preprocessed is None:
                return 1
            with rewritten.open("a", encoding="utf-8") as source:
                source.write(_appended(line, kernels, preprocessed))
        to_stdout = line.stops == "-E" and line.output is None
        target = rewritten.with_suffix(".i") if to_stdout else built
        messages: list[str] = []
        if in_passes:
            for_vector = [*command, *_depfile_of(line, built)]
            for_cube = self._command(line, kernels, kernel, 1)
            code = _compile_passes(for_vector, for_cube, rewritten, built, messages)
        else:
            stop = line.stops or "-c"
            code = _run([*command, stop, str(rewritten), "-o", str(target)], messages)
        if code != 0:
            sys.stderr.write(advice("\n".join(messages), line.arch))
        if to_stdout and code == 0:
            sys.stdout.write(target.read_text(encoding="utf-8"))
        _name_sources_in_depfile(line, built, rewritten, [kernel, *texts])
        return code

    def _command(self, line: CommandLine, kernels: Kernels, kernel: Path, cores: int) -> list[str]:
        """Return the compiler with the flags for the pass over the code of ``cores``."""
        flags = self._flags(line, kernels, cores)
        header = precompiled_header(self._cann / HEADERS, self._compiler, flags)
        first = [] if header is None else [f"-I{header.parent}", "-Winvalid-pch"]
        around = f"-iquote{kernel.resolve().parent}"
        included = ["-include", "kernel_operator.h", "-include", "ascendc/compiled_for.h"]
        return [self._compiler, *first, *included, *flags, around]

    def _preprocessed(self, line: CommandLine, command: Sequence[str], source: Path) -> str | None:
        """Return the project's own lines after the preprocessor, or None if it fails."""
        output = source.with_suffix(".ii")
        messages: list[str] = []
        if _run([*command, KEEP_KERNELS, "-E", str(source), "-o", str(output)], messages) != 0:
            sys.stderr.write(advice("\n".join(messages), line.arch))
            return None
        return own_text(output.read_text(encoding="utf-8"), self._cann)

    def _flags(self, line: CommandLine, kernels: Kernels, cores: int) -> list[str]:
        return [
            *[flag for flag in line.compile_flags if not flag.startswith("-std=")],
            _standard(line.compile_flags),
            *([] if "-fPIC" in line.compile_flags else ["-fPIC"]),
            f"-I{self._cann / HEADERS}",
            f"-D__NPU_ARCH__={line.arch}",
            f"-DAICORE_AUTO_SYNC={int(line.auto_sync)}",
            f"-DAICORE_CORES={kernels.cores}",
            *(["-DAICORE_CCE"] if line.language == "cce" else []),  # see dtype_numbers.h
            f"-DAICORE_PASSES={1 if cores == kernels.cores else 2}",
            *_pass_macros(line.arch, cores),
        ]

    def _compile_others(self, line: CommandLine) -> int:
        """Become the host's compiler if there are sources without kernels."""
        sources = [name for name in line.inputs if not name.startswith("-")]
        if not sources:
            return 0
        output = [] if line.output is None else ["-o", str(line.output)]
        command = [self._compiler, *line.compile_flags, f"-I{self._cann / HEADERS}"]
        process.become([*command, line.stops, *sources, *output], envs.process_environment())

    def _link(self, line: CommandLine, inputs: Sequence[str]) -> int:
        libraries = self._cann / "lib64"
        output = [] if line.output is None else ["-o", str(line.output)]
        command = [self._compiler, *line.compile_flags, f"-I{self._cann / HEADERS}"]
        command += [*line.link_flags, *inputs, *output, f"-L{libraries}"]
        command += ["-Wl,--push-state,--as-needed", "-lascendc_emulated", "-lascendcl"]
        command += ["-Wl,--pop-state"]
        return _run(command)


def _run(command: Sequence[str], messages: list[str] | None = None) -> int:
    """Run the host compiler, whose messages go to standard error as they come."""

    def show(text: str) -> None:
        print(text, file=sys.stderr)  # noqa: T201
        if messages is not None:
            messages.append(text)

    return process.stream(command, show)[0]


def _compile_passes(
    for_vector: Sequence[str],
    for_cube: Sequence[str],
    source: Path,
    built: Path,
    messages: list[str],
) -> int:
    """Compile a source once for each kind of core. Returns the compiler's exit code."""
    vector, cube = source.with_suffix(".vector.o"), source.with_suffix(".cube.o")
    return (
        _run([*for_vector, "-c", str(source), "-o", str(vector)], messages)
        or _run([*without_lists(for_cube), "-c", str(source), "-o", str(cube)], messages)
        or link_passes(_run, without_lists(for_vector), vector, cube, built)
    )


def _texts(
    kernel: Path, line: CommandLine, own: Path
) -> tuple[dict[Path, str], dict[tuple[Path, str], Path]]:
    """Return the source and the headers that it includes by name, except CANN's in ``own``.

    Also return which header each of these files means by each name.
    """
    folders = [Path(flag[2:]) for flag in line.compile_flags if flag.startswith("-I")]
    folders = [folder for folder in folders if folder.resolve() != own.resolve()]
    texts: dict[Path, str] = {}
    includes: dict[tuple[Path, str], Path] = {}
    waiting = [kernel]
    while waiting:
        path = waiting.pop()
        text = path.read_text(encoding="utf-8-sig")  # some public kernels begin with a mark
        texts[path] = text
        for name in _INCLUDE.findall(text):
            found = next(
                (folder / name for folder in (path.parent, *folders) if (folder / name).is_file()),
                None,
            )
            if found is None:
                continue
            # Resolved, since headers that include one another by `..` have no shortest name.
            includes[path, name] = found.resolve()
            if found.resolve() not in texts:
                waiting.append(found.resolve())
    return texts, includes


def _write_rewritten(
    kernel: Path,
    texts: dict[Path, str],
    includes: dict[tuple[Path, str], Path],
    kernels: Kernels,
    target: Path,
) -> None:
    """Write the source with its launches rewritten to ``target``, and headers that need it beside.

    Every other header that these headers include by name is named by its whole path, since it is
    not beside them.
    """
    placed = sorted(_placed(texts, includes) - {kernel, kernel.resolve()})
    copies = {
        path: target.with_name(f"{target.stem}_{number}.h") for number, path in enumerate(placed)
    }

    def of(path: Path) -> str:
        try:
            text = constrain_specializations(texts[path])
            text = place_ub_arrays(rewrite(text, kernels.types, kernels.default))
        except LaunchSyntaxError as error:
            raise UsageError(f"{path}:{error.line}: error: {error}") from error

        def include(match: re.Match[str]) -> str:
            other = includes.get((path, match[1]))
            if other is None or (path == kernel and other not in copies):
                return match[0]
            return f'#include "{copies.get(other, other)}"'

        return f'#line 1 "{path}"\n{_INCLUDE.sub(include, text)}'

    for path, copy in copies.items():
        copy.write_text(of(path), encoding="utf-8")
    target.write_text(of(kernel), encoding="utf-8")


def _placed(texts: dict[Path, str], includes: dict[tuple[Path, str], Path]) -> set[Path]:
    """Return the files that must be rewritten, and those that include one of them."""
    placed = {path for path, text in texts.items() if _is_rewritten(text)}
    while more := {path for (path, _), other in includes.items() if other in placed} - placed:
        placed |= more
    return placed


def _is_rewritten(text: str) -> bool:
    """Return whether a text has what only the device's compiler takes."""
    return (
        "<<<" in text
        or AICORE_ATTRIBUTE.search(text) is not None
        or declares_ub_arrays(text)
        or constrain_specializations(text) != text
    )


def _appended(line: CommandLine, kernels: Kernels, preprocessed: str) -> str:
    """Return code to compile behind a source, and write the headers that it belongs to.

    It names the kernels of a binary, and defines functions that launch kernels.
    """
    entries = _entries(preprocessed, kernels, line.name_expressions) if line.device_only else []
    if line.launch_headers is None:
        return "\n" + "".join(entries)
    functions = launch_functions(preprocessed)
    macros = [flag[2:].partition("=")[0] for flag in line.compile_flags if flag[:2] == "-D"]
    try:
        definitions = [
            function.definition(
                kernels.types.get(function.name, kernels.default), workspace_of(function, macros)
            )
            for function in functions
        ]
    except ValueError as error:
        raise UsageError(f"error: {error}") from error
    write_headers(functions, line.launch_headers)
    return "\n" + "".join([*entries, *definitions])


def _entries(preprocessed: str, kernels: Kernels, expressions: Sequence[str]) -> list[str]:
    """Return code that names the kernels of a binary, for programs that load it.

    A kernel of ``expressions``, for example ``ops::add<half>``, is named by the whole expression.
    """
    names = {name.rpartition("::")[2]: name for name in entry_points(preprocessed)}
    names.update({expression: expression for expression in expressions})
    entries = []
    for number, (name, kernel) in enumerate(names.items()):
        own = kernel.partition("<")[0].rpartition("::")[2].strip()
        kind = kernels.types.get(own, kernels.default)
        entries.append(f'AICORE_ENTRY({number}, "{name}", {kind}, {kernel})\n')
    return entries


def _standard(flags: Sequence[str]) -> str:
    """Return the flag of the C++ standard: C++20 or newer.

    The device's compiler is a clang, which takes `ReduceSum<float>(tensor, ...)` without a
    using-declaration in C++17. GCC takes it from C++20 on.
    """
    names = [flag.removeprefix("-std=") for flag in flags if flag.startswith("-std=")]
    name = names[-1] if names else "c++17"
    dialect, _, year = name.partition("++")
    return f"-std={dialect}++{year if year in _NEW_STANDARDS else 20}"


def _depfile_of(line: CommandLine, built: Path) -> list[str]:
    """Return the flags that name the list of headers after ``built``, as without passes."""
    flags = set(line.compile_flags)
    if flags.isdisjoint(["-MD", "-MMD"]):
        return []
    target = ["-MT", str(built)] if flags.isdisjoint(["-MT", "-MQ"]) else []
    return [*target, *([] if "-MF" in flags else ["-MF", str(built.with_suffix(".d"))])]


def _pass_macros(arch: int, cores: int) -> list[str]:
    """Return what the device's compiler defines in its passes over the cores' code."""
    generation = {2201: "C220", 3510: "C310", 2002: "M200", 3002: "M300"}.get(arch, "C100")
    macros = [f"-D__CCE_AICORE__={220 if arch == 2201 else 310 if arch == 3510 else 200}"]
    if cores != 1:
        macros.append(f"-D__DAV_{generation}_VEC__")
    if cores != 0:
        macros.append(f"-D__DAV_{generation}_CUBE__")
    return macros


def _name_sources_in_depfile(
    line: CommandLine, built: Path, rewritten: Path, sources: Sequence[Path]
) -> None:
    """Let a dependency file name the source and its headers instead of the rewritten copies."""
    if not {"-MD", "-MMD"}.intersection(line.compile_flags):
        return
    flags = line.compile_flags
    depfile = Path(flags[flags.index("-MF") + 1]) if "-MF" in flags else built.with_suffix(".d")
    if depfile.is_file():
        text = depfile.read_text(encoding="utf-8")
        copies = re.escape(str(rewritten.with_suffix(""))) + r"_\d+\.h"
        text = re.sub(rf"(\s|\\\n)*{copies}", "", text)  # `sources` has them
        names = dict.fromkeys(str(source).replace(" ", "\\ ") for source in sources)
        depfile.write_text(text.replace(str(rewritten), " ".join(names)), encoding="utf-8")


def main(cann: Path, arguments: Sequence[str]) -> int:
    """Run ``bisheng`` of the emulated CANN ``cann``. Returns the exit code."""
    compiler = host_compiler()
    if compiler is None:
        reason = no_compiler()
        sys.stderr.write(f"bisheng (emulated): {reason}. Install one: apt-get install g++\n")
        return 1
    if list(arguments) in (["--version"], ["-v"]):
        sys.stdout.write(_VERSION.format(compiler=compiler))
        return 0
    try:
        line = parse(arguments)
        if not line.kernels and not line.inputs:  # a question about the compiler
            process.become([compiler, *line.compile_flags], envs.process_environment())
        return Driver(cann, compiler).run(line)
    except (UsageError, CommandError) as error:
        sys.stderr.write(f"bisheng (emulated): {error}\n")
    except FileNotFoundError as error:
        sys.stderr.write(f"bisheng (emulated): error: {error.filename}: no such file\n")
    return 1

"""The programs behind a compiler's command, by the content of their files.

A version string does not identify a program: a distribution patches the assembler without a new
version, and a wrapper script has none. So the key contains digests of the driver, the compiler
proper, the assembler, the linker and the libraries that these load. They are memoized with the
status of the files, and with the paths at which a program of the same name would be found first.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path

from .. import envs
from ..errors import CommandError
from ..lazy_dataclass import dataclass
from ..system import file_identity, process
from .environment import LAUNCHERS, script_text, search_path

_GCC_PROGRAMS = ("cc1plus", "collect2", "as", "ld")
# Clang passes it to GNU ld and gold for link-time optimization.
_CLANG_PLUGIN = "../lib/LLVMgold.so"
# Clang reads *.cfg in these folders and in its own.
_CLANG_SETTINGS = ("/etc/clang",)
# collect2 prefers these to ld.
_OTHER_LINKERS = ("real-ld", "collect-ld")
# What `clang -v` prints.
_SETTINGS_READ = re.compile(r"^Configuration file: (/.+)$", re.MULTILINE)
_CLANG_FOLDER = re.compile(r"^InstalledDir: (/.+)$", re.MULTILINE)
_GCC_FOUND = re.compile(r"^Found candidate GCC installation: (/.+)$", re.MULTILINE)
_GCC_SELECTED = re.compile(r"^Selected GCC installation: (/.+)$", re.MULTILINE)
_LOADED = r"(?m)(?:=> |^\s*)(/\S.*?) \(0x"
_LOADER_SETTINGS = ("/etc/ld.so.cache", "/etc/ld.so.preload")
_HEAD_BYTES = 4096
# A path or a name in a script, which may be a command.
_SCRIPT_WORD = re.compile(rb"[\w./+-]+")
# What a shell does itself, although programs of these names may be installed.
_SHELL_WORDS = (
    "alias bg cd command echo eval exec exit export false fc fg getopts hash jobs kill printf pwd "
    "read return set shift test times trap true type ulimit umask unalias unset wait"
)


@dataclass
class ToolFiles:
    """The programs that a compiler's command runs.

    Attributes:
        programs: The path of each program, by its role.
        content: The digest of each program, by its role, and of the libraries that they load.
        files: The files whose status must stay the same.
        absent: The paths at which another program would be found first.
        complete: Whether all programs are known, so that the result may be memoized.
    """

    programs: dict[str, str] = field(default_factory=dict)
    content: dict[str, str] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    complete: bool = True

    def add(self, role: str, path: str) -> None:
        """Record a program and the digest of its content."""
        known = next((known for known in self.programs if self.programs[known] == path), None)
        digest = self.content[known] if known else file_identity.digest_file(path)
        self.programs[role], self.content[role] = path, digest
        self.files.append(path)


def find_tools(
    command: Sequence[str], environ: Mapping[str, str], family: str, target: str
) -> ToolFiles:
    """Return the programs that ``command`` runs.

    Args:
        command: The compiler's command.
        environ: The environment that compilers run in.
        family: ``gcc`` or ``clang``.
        target: The machine triple that it compiles for.

    Raises:
        CommandError: The compiler cannot be run.
    """
    found = ToolFiles()
    found.add("command", command[0])
    if Path(command[0]).resolve().name in LAUNCHERS:  # it runs whichever compiler PATH has next
        found.complete = False
    _add_driver(command, environ, found)
    folders = _program_folders(command, environ)
    if family == "gcc":
        for program in _GCC_PROGRAMS:
            name = _linker_name(command) if program == "ld" else program
            _add_program(name, command, environ, folders, found)
        found.absent += [f"{folder}/{name}" for name in _OTHER_LINKERS for folder in folders]
        plugin = _print(command, environ, "-print-file-name=liblto_plugin.so")
        if os.path.isfile(plugin):  # noqa: PTH113 - an unknown name is printed as it is
            found.add("lto plugin", plugin)
    else:
        _add_program("as", command, environ, folders, found)
        _add_clang_linker(command, environ, folders, found)
        found.absent += _of_target(target, command, [*folders, *search_path(environ)])
    found.absent += _behind_prefixes(command, family)
    _add_behind_scripts(environ, found)
    _add_libraries(environ, found)
    found.files = list(dict.fromkeys(found.files))
    found.absent = list(dict.fromkeys(map(_shortest_missing, found.absent)))
    found.complete = found.complete and not any(map(os.path.lexists, found.absent))
    return found


def _shortest_missing(path: str) -> str:
    """Return the folder of ``path`` if it does not exist either: fewer paths to check per hit."""
    folder = os.path.dirname(path)  # noqa: PTH120
    return path if os.path.isdir(folder) else folder  # noqa: PTH112


def is_script(path: str) -> bool:
    """Return whether a program begins with ``#!``, so that it can start any compiler."""
    with Path(path).open("rb") as stream:
        return stream.read(2) == b"#!"


def _print(command: Sequence[str], environ: Mapping[str, str], flag: str) -> str:
    """Return what a compiler prints; nothing if it does not know the flag."""
    try:
        return process.run([*command, flag], env=environ, stdout_only=True).strip()
    except CommandError:
        return ""


def _add_driver(command: Sequence[str], environ: Mapping[str, str], found: ToolFiles) -> None:
    """Record the compiler that a script or a launcher runs, and the specs that it reads."""
    verbose = process.run(
        [*command, "-v", "-E", "-x", "c++", os.devnull, "-o", os.devnull], env=environ
    )
    for specs in re.findall(r"^Reading specs from (/.+)$", verbose, re.MULTILINE):
        found.add(f"specs {len(found.content)}", os.path.normpath(specs))
    named = re.search(r"^COLLECT_GCC=(.+)$", verbose, re.MULTILINE)
    driver = _search(named[1], environ, found) if named else _clang_driver(verbose)
    if not named:
        _add_clang_settings(verbose, found)
    if driver is not None:
        found.add("driver", driver)
    elif is_script(command[0]):
        found.complete = False


def _clang_driver(verbose: str) -> str | None:
    """Return the program in the line that starts clang's compiler proper: it is the driver, too."""
    for line in verbose.splitlines():
        if "-cc1" in line:
            words = _words(line)
            if words and os.path.isfile(words[0]):  # noqa: PTH113
                return words[0]
    return None


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:
        return []


def _program_folders(command: Sequence[str], environ: Mapping[str, str]) -> list[str]:
    """Return the folders that the driver searches before PATH."""
    printed = _print(command, environ, "-print-search-dirs")
    named = re.search(r"^programs: =?(.+)$", printed, re.MULTILINE)
    folders = named[1].split(os.pathsep) if named else []
    return list(dict.fromkeys(os.path.normpath(folder) for folder in folders if folder))


def _linker_name(command: Sequence[str]) -> str:
    chosen = [flag.partition("=")[2] for flag in command if flag.startswith("-fuse-ld=")]
    return f"ld.{chosen[-1]}" if chosen and os.sep not in chosen[-1] else "ld"


def _add_program(
    name: str,
    command: Sequence[str],
    environ: Mapping[str, str],
    folders: Sequence[str],
    found: ToolFiles,
) -> None:
    printed = _print(command, environ, f"-print-prog-name={name}")
    role = name.partition(".")[0]
    path: str | None
    if os.sep in printed:
        path = printed
        before = _before(os.path.normpath(os.path.dirname(printed)), folders)  # noqa: PTH120
    else:
        path, before = _search(printed or name, environ, found), list(folders)
    found.absent += [f"{folder}/{name}" for folder in before]
    if path is not None and os.path.isfile(path):  # noqa: PTH113
        found.add(role, path)


def _add_clang_linker(
    command: Sequence[str], environ: Mapping[str, str], folders: Sequence[str], found: ToolFiles
) -> None:
    """Record the program of the link command, which may be another than ``ld``."""
    printed = process.run([*command, "-###", "-shared", "-x", "c++", os.devnull], env=environ)
    words = _words(printed.splitlines()[-1])
    if not words or not os.path.isfile(words[0]):  # noqa: PTH113
        found.complete = False
        return
    folder, name = os.path.split(words[0])
    searched = [*folders, *search_path(environ)]
    found.absent += [f"{earlier}/{name}" for earlier in _before(os.path.normpath(folder), searched)]
    found.add("ld", words[0])
    plugin = f"{os.path.dirname(found.programs['driver'])}/{_CLANG_PLUGIN}"  # noqa: PTH120
    if os.path.isfile(plugin):  # noqa: PTH113
        found.add("lto plugin", os.path.normpath(plugin))


def _of_target(target: str, command: Sequence[str], folders: Sequence[str]) -> list[str]:
    """Return the missing paths of programs that Clang prefers: ``x86_64-pc-linux-gnu-ld``.

    One in the last folder of PATH is preferred to ``ld`` in the first.
    """
    names = [f"{target}-{name}" for name in ("as", _linker_name(command))]
    paths = [f"{folder}/{name}" for folder in dict.fromkeys(folders) for name in names]
    return [path for path in paths if not os.path.lexists(path)]


def _behind_prefixes(command: Sequence[str], family: str) -> list[str]:
    """Return the missing programs behind ``-B``, whose value may be the beginning of a name."""
    programs = _GCC_PROGRAMS if family == "gcc" else ("as", "ld")
    names = dict.fromkeys([*programs, _linker_name(command)])
    following = [*command[1:], ""]
    pairs = zip(command, following, strict=True)
    prefixes = [word[2:] or after for word, after in pairs if word.startswith("-B")]
    paths = [f"{prefix}{name}" for prefix in prefixes for name in names]
    return [path for path in paths if not os.path.lexists(path)]


def _add_behind_scripts(environ: Mapping[str, str], found: ToolFiles) -> None:
    """Record what a script that stands for the assembler or the linker may run.

    Which words of its text are commands is unknown, so all that name a program count, except for
    its interpreter. What is behind a compiler that is a script is known from its driver.
    """
    waiting = [path for role, path in found.programs.items() if role not in ("command", "driver")]
    known = {*found.programs.values()}
    while waiting:
        script = waiting.pop()
        text = script_text(script).partition(b"\n")[2]
        words = {os.fsdecode(word) for word in _SCRIPT_WORD.findall(text)}
        for word in sorted(words.difference(_SHELL_WORDS.split())):
            path = _command_named(word, script, environ, found)
            if path is not None and path not in known:
                known.add(path)
                found.add(f"behind {os.path.basename(script)}: {word}", path)  # noqa: PTH119
                waiting.append(path)


def _command_named(
    word: str, script: str, environ: Mapping[str, str], found: ToolFiles
) -> str | None:
    """Return the program that a word in a script runs, if any, with the paths tried before it."""
    if os.sep in word:  # what follows a variable is looked for beside the script
        places = [word, f"{os.path.dirname(script)}/{word}"]  # noqa: PTH120
        return next((place for place in places if place[0] == os.sep and shutil.which(place)), None)
    if shutil.which(word, path=environ.get(envs.SEARCH_PATH.name, "")) is None:
        return None  # as for most words, which a hit must not look for again
    return _search(word, environ, found)


def _add_clang_settings(verbose: str, found: ToolFiles) -> None:
    """Record what Clang takes from the system: its settings, and the newest GCC's libraries.

    Raises:
        ValueError: A settings file names others.
    """
    for path in _SETTINGS_READ.findall(verbose):
        if "@" in Path(path).read_text(encoding="utf-8", errors="replace"):
            raise ValueError(f"must not read settings that may include others, got {path}")
        found.add(f"settings {path}", path)
    folders = {*_CLANG_SETTINGS, *map(os.path.dirname, _SETTINGS_READ.findall(verbose))}
    folders.update(_CLANG_FOLDER.findall(verbose))
    for path in _GCC_FOUND.findall(verbose):
        folders.update((os.path.dirname(path), os.path.dirname(os.path.dirname(path))))  # noqa: PTH120
    for folder in sorted(folders):
        (found.files if os.path.isdir(folder) else found.absent).append(folder)  # noqa: PTH112
    for path in _GCC_SELECTED.findall(verbose):
        found.content["gcc"] = path


def _before(folder: str, folders: Sequence[str]) -> list[str]:
    return list(folders[: folders.index(folder)]) if folder in folders else []


def _search(name: str, environ: Mapping[str, str], found: ToolFiles) -> str | None:
    """Return the program that PATH finds, recording the paths that were tried before."""
    folders = environ.get(envs.SEARCH_PATH.name, "").split(os.pathsep)
    if os.sep in name:
        folder, base = os.path.split(name)
        found.absent += [f"{earlier}/{base}" for earlier in _before(folder, folders)]
        return name if os.path.isfile(name) else None  # noqa: PTH113
    for folder in folders:
        path = f"{folder}/{name}"
        if os.access(path, os.X_OK) and os.path.isfile(path):  # noqa: PTH113
            return path
        found.absent.append(path)
    return None


def _add_libraries(environ: Mapping[str, str], found: ToolFiles) -> None:
    """Record the shared libraries of the programs: Debian's ``as`` is a shell around libbfd."""
    libraries: dict[str, str] = {}
    for program in dict.fromkeys(found.programs.values()):
        for path in _loaded_by(program, environ):
            libraries.setdefault(os.path.basename(path), path)  # noqa: PTH119
    digests = {name: file_identity.digest_file(path) for name, path in sorted(libraries.items())}
    if digests:
        found.content["libraries"] = file_identity.digest_bytes(repr(digests).encode())
    found.files += sorted(libraries.values())
    for settings in _LOADER_SETTINGS:
        where = found.files if os.path.exists(settings) else found.absent  # noqa: PTH110
        where.append(settings)


def _loaded_by(program: str, environ: Mapping[str, str]) -> list[str]:
    """Return the libraries that the loader of the GNU system finds for a program, as ldd does."""
    with Path(program).open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
    if not head.startswith(b"\x7fELF") or b"/ld-linux" not in head:
        return []
    try:
        traced = process.run([program], env={**environ, "LD_TRACE_LOADED_OBJECTS": "1"})
    except CommandError:
        return []
    return [path for path in re.findall(_LOADED, traced) if os.path.isfile(path)]  # noqa: PTH113

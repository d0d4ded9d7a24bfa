"""Files that flags name: their content decides the output, but no tool lists them.

Response files, specs, plugins, profiles and version scripts are hashed into the key. A flag whose
files cannot be known is refused.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence

from ..system import file_identity

# These name folders of headers and libraries, which the tools list, or text.
_NOT_FILES = ("-D", "-U", "-I", "-L", "-l", "-isystem", "-iquote", "-idirafter")
_SPECS = ("-specs", "--specs")
_PROFILES = ("-fprofile-use", "-fprofile-instr-use", "-fprofile-sample-use", "-fauto-profile")
_LINKERS = ("-fuse-ld", "--ld-path")
_PREFIXES = ("-B", "--prefix")
# Clang's settings, and the GCC installation that it takes programs and libraries from.
_CHOICES = (
    *("--config", "--config-user-dir", "--config-system-dir"),
    *("--gcc-toolchain", "-gcc-toolchain", "--gcc-install-dir", "--gcc-triple"),
)
_PLUGINS = ("-fplugin", "-fpass-plugin")
# Compiled modules are made and found by the compiler; the lists of read files omit them.
_MODULES = ("-fmodule", "-fcxx-modules", "-fimplicit-module", "-fprebuilt-", "-fbuiltin-module-map")
# Puts the headers' text into what is written, and reads no module.
_WRITES = "-fmodules-embed-all-files"
# The linker lists objects and archives itself; they may be large.
_LISTED = (b"\x7fELF", b"!<arch>", b"!<thin>")


def named_files(flags: Sequence[str], resolve: Callable[[str], str], where: str) -> dict[str, str]:
    """Return the digest of each file that a flag names, by its path as it is spelled.

    Args:
        flags: The flags.
        resolve: Returns the real path of a path in the working folder.
        where: Where the flags come from, for errors: ``cxx_args``, ``extra_ldflags`` or ``CXX``.

    Raises:
        ValueError: A flag's files cannot be known; the message names it and the reason.

    Example:
        >>> from op_builder.toolchain.flag_files import named_files
        >>> named_files(["-O3", "-DNAME=/etc/passwd"], str, "cxx_args")
        {}
    """
    found: dict[str, str] = {}
    for index, word in enumerate(flags):
        following = flags[index + 1] if index + 1 < len(flags) else ""
        _refuse(word, following, resolve, where)
        if word.startswith(_NOT_FILES):
            continue
        for path in _candidates(word):
            real = resolve(path)
            if os.path.isfile(real) and not _is_listed(real, where):  # noqa: PTH113
                found[path] = file_identity.digest_file(real)
            if f"@{path}" in word.split(","):
                found.update(named_files(_words_in(real), resolve, where))
    return found


def looked_up(flags: Sequence[str], resolve: Callable[[str], str]) -> list[str] | None:
    """Return the paths that :func:`named_files` looks up, whether or not they exist.

    Returns:
        None if a flag is a response file, whose flags may name more.
    """
    words = [word for word in flags if not word.startswith(_NOT_FILES)]
    if any("@" in word for word in words):
        return None
    return [resolve(path) for word in words for path in _candidates(word)]


def _candidates(word: str) -> Iterator[str]:
    """Yield the parts of a flag that may be paths."""
    for part in word.split(",") if word.startswith(("-W", "-Xlinker")) else [word]:
        if part.startswith("@"):
            yield part[1:]
        elif not part.startswith("-"):
            yield part
        elif "=" in part:  # -fbasic-block-sections=list=/a/list, too
            for index, sign in enumerate(part):
                if sign == "=":
                    yield part[index + 1 :].removeprefix("@")
        elif os.sep in part:  # -T/a/script
            yield part[part.index(os.sep) :]


def _is_listed(path: str, where: str) -> bool:
    return where == "extra_ldflags" and is_object(path)


def is_object(path: str) -> bool:
    """Return whether a file is an object, a library or an archive."""
    with open(path, "rb") as stream:  # noqa: PTH123 - runs on every cache hit
        return stream.read(8).startswith(_LISTED)


def _words_in(path: str) -> list[str]:
    import shlex  # not needed by most cache hits

    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as stream:  # noqa: PTH123
            return shlex.split(stream.read())
    except OSError:  # the compiler takes the word as it is
        return []


def _refuse(word: str, following: str, resolve: Callable[[str], str], where: str) -> None:
    """Raise a ValueError if what ``word`` makes a tool read cannot be known."""
    name, _, value = word.partition("=")
    reason = ""
    if name.startswith("-M") or any(part in word for part in (",-M", ",--MD", "dependency-file")):
        reason = "the build lists the files that are read itself; remove the flag"
    elif word == "-wrapper":
        reason = "the program that it names may run any other; set CXX to a wrapper script instead"
    elif word.startswith(_PREFIXES) and where != "CXX":
        reason = "it replaces the compiler's programs; add it to CXX instead"
    elif name in _CHOICES and where != "CXX":
        reason = "it decides which programs and files the compiler uses; add it to CXX instead"
    elif name in _PLUGINS and os.sep not in (value or following):
        reason = "the plugin must be a path, since the folder of a name is the compiler's"
    elif word.startswith(_MODULES) and word != _WRITES:
        reason = "compiled modules are not listed among the files that are read; include headers"
    elif name in _LINKERS and os.sep in value and not value.startswith(os.sep):
        reason = "the linker must be a name or an absolute path"
    elif name in _SPECS:
        reason = _unusable_specs(resolve(value or following), value or following, where)
    elif name in _PROFILES and value and os.path.isdir(resolve(value)):  # noqa: PTH112
        reason = "the profile must be a file, since the name of a file in a folder is not known"
    if reason:
        raise ValueError(f"{where} must not contain {word!r}: {reason}")


def _unusable_specs(path: str, spelled: str, where: str) -> str:
    if where == "CXX" and not spelled.startswith(os.sep):
        return "specs must be an absolute path"
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:  # noqa: PTH123
            text = stream.read()
    except OSError as error:
        return f"specs must be a path to a file, got {spelled!r} ({error.strerror})"
    return "specs must not include other specs (%include)" if "%include" in text else ""

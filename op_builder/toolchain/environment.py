"""The environment of compilers and of ninja: an allow-list, so that nothing decides silently.

A compiler inherits hundreds of variables that can change its output: LD_PRELOAD, GLIBC_TUNABLES,
whatever else their libraries read. Only those below are passed on, and all that can decide a
library's content are part of its key. A wrapper script also gets every variable that it mentions.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from .. import envs

#: The first error is recognized by English words. C.UTF-8 leaves paths as they are, C does not.
LOCALE = {"LC_ALL": "C.UTF-8", "LANGUAGE": ""}

#: Launchers, each with the prefix of its variables.
LAUNCHERS = {"ccache": "CCACHE_", "sccache": "SCCACHE_", "distcc": "DISTCC_", "icecc": "ICECC_"}
# These replace the compiler, whose content is in the key.
_REPLACES_COMPILER = ("CCACHE_COMPILER", "CCACHE_PREFIX", "CCACHE_PREFIX_CPP", "ICECC_CXX")
# Those that store objects must not take one for another: they are told what the key knows of the
# toolchain, which a wrapper script and its variables can change, and that headers are looked for
# anew, since one may have appeared earlier on the include path.
_STORES = {
    "ccache": {
        "CCACHE_COMPILERCHECK": "string:{}",
        "CCACHE_NODIRECT": "1",
        "CCACHE_NODEPEND": "1",
        "CCACHE_SLOPPINESS": "",
        "CCACHE_IGNOREOPTIONS": "",
        "CCACHE_IGNOREHEADERS": "",
    },
    "sccache": {"SCCACHE_C_CUSTOM_CACHE_BUSTER": "{}", "SCCACHE_DIRECT": "false"},
}
# The programs that PATH finds are keyed by their content; the locale and TMPDIR decide nothing.
_NEVER_KEYED = frozenset({envs.SEARCH_PATH.name, envs.TMPDIR.name, *LOCALE})
_LONGEST_SCRIPT = 1_000_000


def search_path(environ: Mapping[str, str]) -> list[str]:
    """Return the absolute folders of PATH, without a slash at the end.

    An empty or relative one stands for the current folder, so that ``./ld`` would link a library.

    Example:
        >>> from op_builder.toolchain.environment import search_path
        >>> search_path({"PATH": ":/usr/bin/:bin:"})
        ['/usr/bin']
    """
    folders = envs.SEARCH_PATH.get(environ).split(os.pathsep)
    return [folder.rstrip(os.sep) or os.sep for folder in folders if folder.startswith(os.sep)]


def script_text(program: str | Path) -> bytes:
    """Return what a script contains behind ``#!``, or nothing for a binary."""
    with Path(program).open("rb") as stream:
        return stream.read(_LONGEST_SCRIPT) if stream.read(2) == b"#!" else b""


def script_words(program: str | Path) -> frozenset[str]:
    """Return the words in a script, which may be names of variables; empty for a binary.

    Example:
        >>> from op_builder.toolchain.environment import script_words
        >>> script_words("/bin/sh")
        frozenset()
    """
    text = script_text(program).decode("utf-8", "replace")
    return frozenset(re.findall(r"[A-Za-z_]\w*", text)) - _NEVER_KEYED


def _passed_on(environ: Mapping[str, str], words: Iterable[str]) -> dict[str, str]:
    """Return the variables that are part of every key because compilers may see them."""
    names = [*envs.COMPILER_INPUTS, *envs.COMPILER_ENV.get(environ), *words]
    return {name: environ[name] for name in names if name in environ}


def compiler_environment(
    environ: Mapping[str, str], words: Iterable[str] = (), *, libraries: bool = False
) -> dict[str, str]:
    """Return the environment that compilers, assemblers and linkers run in.

    Args:
        environ: The environment of this process.
        words: The words in a script that is used as the compiler.
        libraries: Pass LD_LIBRARY_PATH on, for a compiler that does not start without it.
    """
    allowed = _passed_on(environ, words)
    allowed[envs.SEARCH_PATH.name] = os.pathsep.join(search_path(environ))
    names = [envs.TMPDIR.name, *([envs.LD_LIBRARY_PATH.name] if libraries else [])]
    allowed.update({name: environ[name] for name in names if environ.get(name)})
    return {**allowed, **LOCALE}


def keyed(compiler: Mapping[str, str]) -> dict[str, str]:
    """Return the part of a compiler's environment that can decide its output."""
    return {name: value for name, value in compiler.items() if name not in _NEVER_KEYED}


def ninja_environment(
    environ: Mapping[str, str], launcher: Sequence[str], compiler: Mapping[str, str], toolchain: str
) -> dict[str, str]:
    """Return the environment of ninja, which launchers and compilers inherit.

    Args:
        environ: The environment of this process.
        launcher: The launcher's command, if there is one.
        compiler: The environment of the compiler.
        toolchain: A digest of everything that the key knows of the toolchain.
    """
    if not launcher:
        return dict(compiler)
    if not is_known(launcher):  # another program: it may need any variable
        return {**environ, **compiler}
    store = _STORES.get(Path(launcher[0]).name, {})
    told = {name: value.format(toolchain) for name, value in store.items()}
    return {**_launcher_variables(environ, launcher), **told, **compiler}


def kept_variables(launcher: Sequence[str], compiler: Mapping[str, str]) -> list[str]:
    """Return the variables to start a compiler with behind a launcher that has all; else nothing.

    ccache and its like run compilers in their own environment, which is already clean, and must see
    the compiler as the first word of their command.
    """
    return [] if not launcher or is_known(launcher) else sorted(compiler)


def is_known(launcher: Sequence[str]) -> bool:
    """Return whether it is ccache or the like, which may store what a compiler writes."""
    return bool(launcher) and _prefix(launcher) is not None


def _prefix(launcher: Sequence[str]) -> str | None:
    return LAUNCHERS.get(Path(launcher[0]).name)


def _launcher_variables(environ: Mapping[str, str], launcher: Sequence[str]) -> dict[str, str]:
    prefix = _prefix(launcher)
    return {
        name: value
        for name, value in environ.items()
        if name == envs.HOME.name
        or name.startswith("XDG_")  # their configuration, their cache
        or (prefix and name.startswith(prefix) and name not in _REPLACES_COMPILER)
    }

"""A spec as a ninja file.

The text that runs is the text in the key. The command of the compiler is in a second file, which
the first includes, since the key describes the compiler in another way.
"""

from __future__ import annotations

import string
from collections.abc import Sequence

from .spec import BuildSpec

TOOLCHAIN_FILE = "toolchain.ninja"
# What the shell takes as it is.
_SAFE = frozenset(f"{string.ascii_letters}{string.digits}_@%+=:,./-")


def render(spec: BuildSpec) -> str:
    """Return the ninja file of ``spec``, a text that is the same on every machine."""
    includes = [f"-I{_quote(folder)}" for folder in spec.include_dirs]
    lines = [
        "ninja_required_version = 1.8",
        f"include {TOOLCHAIN_FILE}",
        f"cxx_flags = {_join(spec.cxx_flags)} {' '.join(includes)}".rstrip(),
        f"ld_flags = {_join(spec.ld_flags)}".rstrip(),
        "",
        "rule compile",
        "  command = $compile -MD -MF $out.d $cxx_flags $flags -c $in -o $out",
        "  depfile = $out.d",
        "  description = compile $in",
        "rule link",
        "  command = $link -shared -o $out $in $ld_flags",
        "  description = link $out",
        "",
    ]
    objects = []
    for source in spec.sources:
        built = f"objects/{source.path}.o"
        objects.append(_path(built))
        lines.append(f"build {_path(built)}: compile {_path('source/' + source.path)}")
        if source.flags:
            lines.append(f"  flags = {_join(source.flags)}")
    lines += ["", f"build {library_name(spec)}: link {' '.join(objects)}", ""]
    return "\n".join(lines)


def render_toolchain(compiler: Sequence[str], launcher: Sequence[str]) -> str:
    """Return the file that names the compiler.

    Args:
        compiler: The compiler's command.
        launcher: A program such as ccache to run each compile with; links run without it.

    Example:
        >>> from op_builder.recipe.ninja import render_toolchain
        >>> print(render_toolchain(["g++"], ["ccache"]), end="")
        compile = ccache g++
        link = g++
    """
    return f"compile = {_join([*launcher, *compiler])}\nlink = {_join(compiler)}\n"


def library_name(spec: BuildSpec) -> str:
    """Return the file name of the library in an entry."""
    return f"{spec.name}.so"


def _join(flags: Sequence[str]) -> str:
    return " ".join(_quote(flag) for flag in flags)


def _quote(text: str) -> str:
    if "\n" in text:
        raise ValueError(f"flags must not contain newlines (ninja cannot), got {text!r}")
    if _SAFE.issuperset(text) and text:
        return text
    import shlex  # not needed by most cache hits

    return shlex.quote(text).replace("$", "$$")


def _path(text: str) -> str:
    return "".join(f"${character}" if character in "$ :" else character for character in text)

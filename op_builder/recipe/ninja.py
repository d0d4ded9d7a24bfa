"""A spec as a ninja file.

The text that runs is the text in the key. The command of the compiler is in a second file, which
the first includes, since the key describes the compiler in another way. So do the flags that let
the assembler and the linker list the files that they read, as not all of them can.
"""

from __future__ import annotations

import string
from collections.abc import Sequence

from .spec import HEADER, BuildSpec, Unit

TOOLCHAIN_FILE = "toolchain.ninja"
# What the shell takes as it is.
_SAFE = frozenset(f"{string.ascii_letters}{string.digits}_@%+=:,./-")
#: The lists of files that were read: suffixes of an object's name, and names in the working folder.
COMPILER_LIST, ASSEMBLER_LIST = ".d", ".as.d"
LINKER_LIST, LINKER_TRACE = "link.d", "link.trace"
# -Wa would split a path at its commas. The shell expands the name, which the rule sets. A pipe
# keeps the compiler's temporary output out of the list.
_ASSEMBLER_FLAGS = '-pipe -Xassembler --MD -Xassembler "$$list"'

_LINK = "$link -shared -o $out $in $ld_flags $trace"
_LINK_HEADER = "ln -f $in $out"  # a precompiled header takes hundreds of megabytes


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
        f"  command = list=$out{ASSEMBLER_LIST}; "
        "$compile -MD -MF $out.d $header $cxx_flags $flags -c $in -o $out",
        "  depfile = $out.d",
        "  description = compile $in",
        "rule link",
        f"  command = {_LINK_HEADER if spec.binding == HEADER else _LINK}",
        "  description = link $out",
        "",
    ]
    objects = []
    for unit in spec.units:
        built = object_name(unit)
        objects.append(_path(built))
        included = "".join(f" {_path(path)}" for path in unit.includes)
        after = f" |{included}" if included else ""
        lines.append(f"build {_path(built)}: compile {_path(unit.path)}{after}")
        if unit.flags:
            lines.append(f"  flags = {_join(unit.flags)}")
        if unit.precompiled:
            lines.append("  header = $torch_extension")
    lines += ["", f"build {library_name(spec)}: link {' '.join(objects)}", ""]
    return "\n".join(lines)


def render_toolchain(
    compiler: Sequence[str],
    launcher: Sequence[str],
    *,
    kept: Sequence[str] = (),
    lists_assembled: bool = False,
    lists_linked: bool | None = None,
    precompiled: str = "",
) -> str:
    """Return the file that names the compiler.

    Args:
        compiler: The compiler's command.
        launcher: A program such as ccache to run each compile with; links run without it.
        kept: The variables to start the compiler with; if it is empty, all of them.
        lists_assembled: Let the assembler list the files that it reads.
        lists_linked: Let the linker list the files that it reads. False lets it print them, which
            older ones can, too; None does neither.
        precompiled: The flags of the sources that can use a precompiled header.

    Example:
        >>> from op_builder.recipe.ninja import render_toolchain
        >>> print(render_toolchain(["g++"], ["ccache"]), end="")
        compile = ccache g++
        link = g++
    """
    assembler = f" {_ASSEMBLER_FLAGS}" if lists_assembled else ""
    linker = f" -Wl,--dependency-file={LINKER_LIST}" if lists_linked else ""
    trace = f"trace = -Wl,-t >{LINKER_TRACE}\n" if lists_linked is False else ""
    # The shell expands the values, since ninja cannot express a newline.
    values = [f'{name}="$${name}"' for name in kept]
    start = " ".join(["/usr/bin/env", "-i", *values]) if kept else ""
    command = f"{start} {_join(compiler)}".lstrip()
    return (
        f"compile = {_join(launcher)} {command}{assembler}".replace("=  ", "= ")
        + f"\nlink = {command}{linker}\n{trace}"
        + (f"torch_extension = {precompiled}\n" if precompiled else "")
    )


def object_name(unit: Unit) -> str:
    """Return the object of a unit, relative to the working folder."""
    return f"objects/{unit.path.removeprefix('source/')}.o"


def unit_text(unit: Unit) -> str:
    """Return the content of the file that includes the sources of a unit.

    Example:
        >>> from op_builder.recipe.ninja import unit_text
        >>> from op_builder.recipe.spec import Source, Unit
        >>> sources = (Source("a.cpp", unit="unit_0"), Source("b.cpp", unit="unit_0"))
        >>> print(unit_text(Unit("unit_0.cpp", sources)), end="")
        #include "source/a.cpp"
        #include "source/b.cpp"
    """
    return "".join(f'#include "{path}"\n' for path in unit.includes)


def library_name(spec: BuildSpec) -> str:
    """Return the file name of the library, or of the precompiled header, in an entry."""
    return f"{spec.name}.gch" if spec.binding == HEADER else f"{spec.name}.so"


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

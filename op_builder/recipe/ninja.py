"""A spec as a ninja file.

Rendered once: the text that is keyed is the text that is run. The compiler is named in a second
file that the first includes, because what of the compiler matters is a part of the key of its own.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from .spec import BuildSpec

TOOLCHAIN_FILE = "toolchain.ninja"


def render(spec: BuildSpec) -> str:
    """The ninja file of ``spec``: pure, the same text on every machine."""
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
    """The file that names the compiler; ``launcher`` (ccache) is put before compiles, not links."""
    return f"compile = {_join([*launcher, *compiler])}\nlink = {_join(compiler)}\n"


def library_name(spec: BuildSpec) -> str:
    """The file name of the library inside an entry."""
    return f"{spec.name}.so"


def _join(flags: Sequence[str]) -> str:
    return " ".join(_quote(flag) for flag in flags)


def _quote(text: str) -> str:
    if "\n" in text:
        raise ValueError(f"a flag with a newline cannot be given to ninja: {text!r}")
    return shlex.quote(text).replace("$", "$$")


def _path(text: str) -> str:
    return re.sub(r"([$ :])", r"$\1", text)

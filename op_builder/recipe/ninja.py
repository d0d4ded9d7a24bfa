"""A spec as a ninja file, the run of it, and what it says afterwards.

Rendered once: the text that is keyed is the text that is run. The compiler is named in a second
file that the first includes, because what of the compiler matters is a part of the key of its own.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import envs
from ..errors import BuildError, NotFoundError, ending
from ..system import process
from .spec import BuildSpec

TOOLCHAIN_FILE = "toolchain.ninja"
_STATUS = "[%f/%t] "
_STATUS_LINE = re.compile(r"^\[(\d+)/(\d+)\] (.*)$")
_ESCAPED = re.compile(r"(\\+)([ \t#])|\$\$")
_FIRST_ERROR = re.compile(
    r"^(?!.*\bwarning: )(?!\s*\d* \| ).*?"  # neither a warning nor the lines that GCC quotes below
    r"(?:\berror:|: undefined reference|: multiple definition|cannot find -l).*$",
    re.MULTILINE,
)
# Where a message names a file; elsewhere "source/" may be a part of a folder's real name.
_BEGINS_A_PATH = r"(?:^|(?<=[\"'\u2018`(])|(?<=: )|(?<=from ))"


# The first error is found by its words. C.UTF-8 and not C: paths stay as they are.
_ENGLISH = {"LC_ALL": "C.UTF-8", "LANGUAGE": ""}


@dataclass(frozen=True)
class Progress:
    """``done`` of ``total`` steps of building ``op``; ``step`` is the one that just ended."""

    op: str
    done: int
    total: int
    step: str


ProgressListener = Callable[[Progress], None]


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


def run(
    spec: BuildSpec,
    folder: Path,
    toolchain_text: str,
    jobs: int,
    on_progress: ProgressListener | None = None,
    environ: Mapping[str, str] | None = None,
) -> None:
    """Build ``folder/build.ninja`` in ``folder``; the output goes to ``build.log`` beside it.

    ``toolchain_text`` is :func:`render_toolchain`'s, ``environ`` (default: this process's) what the
    compiler runs with. Raises BuildError with the first error, the command that made it and the
    log's path.
    """
    write_ninja(folder / TOOLCHAIN_FILE, toolchain_text)
    environ = envs.process_environment() if environ is None else environ
    env = {**environ, "NINJA_STATUS": _STATUS, **_ENGLISH}

    def on_line(line: str) -> None:
        matched = _STATUS_LINE.match(line)
        if matched and on_progress:
            done, total, step = int(matched[1]), int(matched[2]), matched[3]
            on_progress(Progress(spec.name, done, total, step))

    status, output = process.stream(
        [str(find_ninja()), "-j", str(jobs), "-f", "build.ninja"], on_line, cwd=folder, env=env
    )
    log = folder / "build.log"
    log.write_text(output, encoding="utf-8")
    if status != 0:
        raise _build_error(spec, status, output, log)


def write_ninja(file: Path, text: str) -> None:
    """Write a ninja file; the paths in it are any bytes."""
    file.write_text(text, encoding="utf-8", errors="surrogateescape")


def find_ninja() -> Path:
    """The binary of the ``ninja`` package, where the package's own record says it is.

    PATH is not asked: it is what is missing in services and notebooks (DeepSpeed #1687, #1644). Nor
    is ``ninja.BIN_DIR``, which is empty inside pip's isolated builds.
    """
    import importlib.metadata

    advice = "Install it with `pip install ninja`."
    try:
        record = importlib.metadata.distribution("ninja").files or []
    except importlib.metadata.PackageNotFoundError as error:
        refusals = ["the Python package ninja: not installed"]
        raise NotFoundError("ninja", refusals, advice) from error
    binaries = [Path(str(file.locate())) for file in record if file.name == "ninja"]
    for binary in binaries:
        if binary.is_file():
            return binary.resolve()
    raise NotFoundError("ninja", [f"{binary}: not there" for binary in binaries], advice)


def dependencies(folder: Path) -> list[str]:
    """All files that the compiler read, as it spelled them, from the depfiles under ``folder``.

    ``-MD`` and not ``-MMD``: the latter leaves out everything found through ``-isystem``, which is
    how a changed torch header goes unseen in torch's own builder (pytorch #68905).
    """
    found: dict[str, None] = {}
    for depfile in sorted(folder.glob("objects/**/*.d")):
        text = depfile.read_bytes().decode("utf-8", "surrogateescape")  # a path is any bytes
        found.update(dict.fromkeys(parse_depfile(text)))
    return list(found)


def parse_depfile(text: str) -> list[str]:
    """The prerequisites of a Makefile rule as GCC and Clang write them.

    A space or tab is escaped and the backslashes before it doubled; ``#`` is escaped, ``$`` doubled
    (``munge`` in GCC's mkdeps.cc).
    """
    joined = text.replace("\\\n", " ")
    _, _, prerequisites = joined.partition(": ")
    words = re.findall(r"(?:\\[ \t]|[^ \t\n])+", prerequisites)
    return [_ESCAPED.sub(_unescape, word) for word in words]


def _unescape(matched: re.Match[str]) -> str:
    backslashes, character = matched[1] or "", matched[2] or ""
    if character in (" ", "\t"):
        return "\\" * (len(backslashes) // 2) + character
    return backslashes[1:] + character if character else "$"


def _first_error(status: int, output: str) -> str:
    found = _FIRST_ERROR.search(output)
    if found:
        return found.group(0)
    after = output.partition("FAILED:")[2].splitlines()[2:]  # its target, its command, what it said
    said = [line for line in after if line.strip() and not line.startswith(("ninja:", "["))]
    return said[0] if said else f"ninja {ending(status)}"


def _build_error(spec: BuildSpec, status: int, output: str, log: Path) -> BuildError:
    # Links in a folder that is about to go, to real paths.
    names = "|".join(map(re.escape, spec.roots))
    first = re.sub(
        rf"{_BEGINS_A_PATH}({names})/",
        lambda found: f"{spec.roots[found[1]]}/",
        _first_error(status, output),
    )
    failed = re.search(r"^FAILED:.*\n(.*)$", output, re.MULTILINE)
    command = failed.group(1) if failed else "ninja"
    return BuildError(spec.name, first, command, log)


def _join(flags: Sequence[str]) -> str:
    return " ".join(_quote(flag) for flag in flags)


def _quote(text: str) -> str:
    if "\n" in text:
        raise ValueError(f"a flag with a newline cannot be given to ninja: {text!r}")
    return shlex.quote(text).replace("$", "$$")


def _path(text: str) -> str:
    return re.sub(r"([$ :])", r"$\1", text)

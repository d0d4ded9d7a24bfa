"""The run of a ninja file: which ninja, in which environment, how far it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .. import envs
from ..errors import NotFoundError
from ..recipe.ninja import TOOLCHAIN_FILE
from ..recipe.spec import BuildSpec
from ..system import process
from .diagnostics import build_error

_STATUS = "[%f/%t] "
_STATUS_LINE = re.compile(r"^\[(\d+)/(\d+)\] (.*)$")
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


def run_ninja(
    spec: BuildSpec,
    folder: Path,
    toolchain_text: str,
    jobs: int,
    on_progress: ProgressListener | None = None,
    environ: Mapping[str, str] | None = None,
) -> None:
    """Build ``folder/build.ninja`` in ``folder``; the output goes to ``build.log`` beside it.

    ``toolchain_text`` is that of :func:`op_builder.recipe.ninja.render_toolchain`, ``environ``
    (default: this process's) what the compiler runs with. Raises BuildError with the first error,
    the command that made it and the log's path.
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
        raise build_error(spec, status, output, log)


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

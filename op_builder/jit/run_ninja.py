"""Run ninja: find it, set its environment, report its progress."""

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
# The first error is recognized by English words. C.UTF-8 leaves paths as they are, C does not.
_ENGLISH = {"LC_ALL": "C.UTF-8", "LANGUAGE": ""}


@dataclass(frozen=True)
class Progress:
    """The progress of a build.

    Attributes:
        op: The op's name.
        done: The number of steps that are finished.
        total: The number of steps.
        step: The step that has just finished, as ``compile source/a.cpp``.
    """

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
    """Run ``build.ninja`` in ``folder``; the output goes to ``build.log`` in it.

    Args:
        spec: The spec that ``build.ninja`` was rendered from.
        folder: The working folder.
        toolchain_text: The result of :func:`op_builder.recipe.ninja.render_toolchain`.
        jobs: How many compilers may run at once.
        on_progress: Called after each step.
        environ: The environment of the compiler; this process's by default.

    Raises:
        BuildError: A command failed; the error has the first error, the command and the log.
        NotFoundError: Ninja is not installed.
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
    """Write a ninja file, whose paths may be any bytes."""
    file.write_text(text, encoding="utf-8", errors="surrogateescape")


def find_ninja() -> Path:
    """Return the binary of the ``ninja`` package, as listed in the package's record.

    PATH is not used, since it lacks the binary in services and notebooks (DeepSpeed #1687, #1644).
    Neither is ``ninja.BIN_DIR``, which is empty in pip's isolated builds.

    Raises:
        NotFoundError: The package or its binary is missing.
    """
    import importlib.metadata

    advice = "Install it with `pip install ninja`."
    try:
        record = importlib.metadata.distribution("ninja").files or []
    except importlib.metadata.PackageNotFoundError as error:
        refusals = ["the Python package ninja is not installed"]
        raise NotFoundError("ninja", refusals, advice) from error
    binaries = [Path(str(file.locate())) for file in record if file.name == "ninja"]
    for binary in binaries:
        if binary.is_file():
            return binary.resolve()
    raise NotFoundError("ninja", [f"{binary} does not exist" for binary in binaries], advice)

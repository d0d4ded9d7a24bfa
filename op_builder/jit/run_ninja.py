"""Run a ninja file: find ninja, set its environment, report its progress."""

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
# English, because the first error is found by its text; C.UTF-8 and not C, to keep paths intact.
_ENGLISH = {"LC_ALL": "C.UTF-8", "LANGUAGE": ""}


@dataclass(frozen=True)
class Progress:
    """``done`` of ``total`` steps of building ``op`` are complete; ``step`` was the last."""

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
    """Run ``folder/build.ninja`` in ``folder``, and write the output to ``build.log`` beside it.

    Args:
        spec: What is built.
        folder: The working folder, which contains ``build.ninja``.
        toolchain_text: The text of :func:`op_builder.recipe.ninja.render_toolchain`.
        jobs: How many compilers may run at once.
        on_progress: Called after each step.
        environ: The compiler's environment; default: this process's.

    Raises:
        BuildError: A step failed; the error has the first message, the command and the log's path.
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
    """Write a ninja file; the paths in it may be any bytes."""
    file.write_text(text, encoding="utf-8", errors="surrogateescape")


def find_ninja() -> Path:
    """Return the binary of the ``ninja`` package, from the package's own record.

    Services and notebooks often lack PATH (DeepSpeed #1687, #1644), and ``ninja.BIN_DIR`` is empty
    inside pip's isolated builds, so neither is used.
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

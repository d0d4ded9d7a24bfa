"""Run ninja: find it, set its environment, report its progress."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import envs
from ..errors import BuildError, CommandError, NotFoundError
from ..recipe.ninja import TOOLCHAIN_FILE
from ..recipe.spec import BuildSpec
from ..system import process
from ..system.output import Excerpt
from ..system.private_folder import write_file
from ..toolchain.environment import LOCALE
from .diagnostics import Diagnosis, build_error, real_paths

_STATUS = "[%f/%t] "
_STATUS_LINE = re.compile(r"^\[(\d+)/(\d+)\] (.*)$")
_LOG_HEAD_CHARACTERS = 8 << 20
_LOG_TAIL_CHARACTERS = 1 << 20
_LAST_OUTPUT_CHARACTERS = 2000
_REQUIRED = (1, 8)  # as in recipe/ninja.py


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
    timeout: float | None = None,
) -> None:
    """Run ``build.ninja`` in ``folder``; the output goes to ``build.log`` in it.

    Args:
        spec: The spec that ``build.ninja`` was rendered from.
        folder: The working folder.
        toolchain_text: The result of :func:`op_builder.recipe.ninja.render_toolchain`.
        jobs: How many compilers may run at once.
        on_progress: Called after each step.
        environ: The environment of the compiler; this process's by default.
        timeout: The time limit in seconds; None for no limit.

    Raises:
        BuildError: A command failed or took too long; the error has the first error, the command
            and the log.
        NotFoundError: Ninja is not installed.
    """
    write_ninja(folder / TOOLCHAIN_FILE, toolchain_text)
    environ = envs.process_environment() if environ is None else environ
    env = {**environ, "NINJA_STATUS": _STATUS, **LOCALE}
    found, output = Diagnosis(), Excerpt(_LOG_HEAD_CHARACTERS, _LOG_TAIL_CHARACTERS)

    def on_line(line: str) -> None:
        found.add(line)
        output.add(line + "\n")
        matched = _STATUS_LINE.match(line)
        if matched and on_progress:
            done, total, step = int(matched[1]), int(matched[2]), matched[3]
            on_progress(Progress(spec.name, done, total, step))

    log = folder / "build.log"
    command = [str(find_ninja()), "-j", str(jobs), "-f", "build.ninja"]
    try:
        status, _ = process.stream(command, on_line, cwd=folder, env=env, timeout=timeout)
    except CommandError as error:
        if error.timeout is None:
            raise
        raise _timeout_error(spec, error, found, log) from None
    finally:
        write_file(log, output.text().encode(), 0o700)
    if status != 0:
        raise build_error(spec, status, found, log)


def _timeout_error(spec: BuildSpec, error: CommandError, found: Diagnosis, log: Path) -> BuildError:
    last = error.output.strip()[-_LAST_OUTPUT_CHARACTERS:] or "(no output)"
    message = (
        f"timed out after {error.timeout:g} s, the limit that {envs.BUILD_TIMEOUT.name} sets; the "
        f"last output was:\n{real_paths(last, spec.roots)}"
    )
    return BuildError(spec.name, message, found.command or "ninja", log, "timeout")


def write_ninja(file: Path, text: str) -> None:
    """Write a ninja file, whose paths may be any bytes."""
    write_file(file, text.encode("utf-8", "surrogateescape"), 0o700)


def find_ninja(
    environ: Mapping[str, str] | None = None, packages: Sequence[str] | None = None
) -> Path:
    """Return the binary of the ``ninja`` package or, without that package, the one on PATH.

    PATH comes second, since it lacks the binary in services and notebooks (DeepSpeed #1687, #1644).
    ``ninja.BIN_DIR`` is not used, since it is empty in pip's isolated builds.

    Args:
        environ: The environment with PATH; this process's by default.
        packages: The folders of installed packages; those of this process by default.

    Raises:
        NotFoundError: There is no ninja, or only one that is too old.
    """
    refusals: list[str] = []
    for binary in _packaged(refusals, packages):
        if binary.is_file():
            return binary.resolve()
        refusals.append(f"{binary} does not exist")
    path = envs.SEARCH_PATH.get(environ)
    for name in ("ninja", "ninja-build"):  # the second is Fedora's, for EPEL
        found = shutil.which(name, path=path)
        refusal = _ninja_refusal(found) if found else f"{name}: not found on PATH ({path})"
        if found and refusal is None:
            return Path(os.path.abspath(found))  # noqa: PTH100 - keeps links
        refusals.append(str(refusal))
    raise NotFoundError("ninja", refusals, "Install it with `pip install ninja`.")


def _packaged(refusals: list[str], packages: Sequence[str] | None) -> Iterator[Path]:
    """Yield the binaries in the record of the ``ninja`` package."""
    import importlib.metadata

    where = list(sys.path if packages is None else packages)
    found = next(iter(importlib.metadata.distributions(name="ninja", path=where)), None)
    if found is None:
        refusals.append("the Python package ninja is not installed")
        return
    yield from (Path(str(file.locate())) for file in found.files or [] if file.name == "ninja")


def _ninja_refusal(program: str) -> str | None:
    try:
        printed = process.run([program, "--version"], stdout_only=True).strip()
    except CommandError as error:
        return f"{program} does not run: {error}"
    version = re.match(r"(\d+)\.(\d+)", printed)
    if version and (int(version[1]), int(version[2])) >= _REQUIRED:
        return None
    return f"{program} must be version {'.'.join(map(str, _REQUIRED))} or newer, got {printed!r}"

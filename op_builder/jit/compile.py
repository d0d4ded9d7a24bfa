"""Compile a spec to a library in a working folder."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

from ..cache.entry import header_digests
from ..cache.key import source_digests
from ..errors import BuildError
from ..recipe import ninja
from ..recipe.spec import BuildSpec
from ..system import file_identity
from ..toolchain.detect import Toolchain
from ..toolchain.environment import clean_start, ninja_environment
from ..toolchain.jobs import compile_jobs
from .depfile import dependencies
from .run_ninja import ProgressListener, run_ninja, write_ninja

logger = logging.getLogger(__name__)

_ATTEMPTS = 3


def compile_library(
    spec: BuildSpec,
    toolchain: Toolchain,
    sources: Mapping[str, str],
    work: Path,
    on_progress: ProgressListener | None,
) -> dict[str, str]:
    """Build the library in ``work``.

    Headers can only be hashed after the build, when an editor may have saved a new version, and an
    entry with the digest of that version would stay wrong forever. So if a header was written
    during the build, the build is repeated until its headers stay the same.

    Args:
        spec: What to build.
        toolchain: What to build it with.
        sources: The digests of the sources in the library's key.
        work: The working folder, which is empty.
        on_progress: Called after each step.

    Returns:
        The digests of the headers that were compiled.

    Raises:
        BuildError: Compiling or linking failed, or a source or a header keeps changing.
    """
    _lay_out(spec, work)
    before: dict[str, str] | None = None
    for _ in range(_ATTEMPTS):
        began = time.time_ns()
        _run(spec, toolchain, work, on_progress)
        changed = _changed_source(spec, sources)
        if changed is not None:
            raise _moving_target(spec, work, changed)
        try:
            headers = header_digests(_headers(spec, work), spec.resolve)
            if headers == before or not _written_since(began, headers, spec):
                return headers
            before = headers
        except FileNotFoundError:  # deleted since the compiler read it
            before = None
        shutil.rmtree(work / "objects")
    raise _moving_target(spec, work, "a header")


def _lay_out(spec: BuildSpec, work: Path) -> None:
    """Write the ninja file, and create a link for each root."""
    write_ninja(work / "build.ninja", ninja.render(spec))
    for name, root in spec.roots.items():
        (work / name).symlink_to(root, target_is_directory=True)


def _run(
    spec: BuildSpec, toolchain: Toolchain, work: Path, on_progress: ProgressListener | None
) -> None:
    compiler, launcher = toolchain.compiler(), toolchain.launcher()
    start = clean_start(launcher, compiler.environ)
    text = ninja.render_toolchain([*start, *compiler.command], launcher)
    environ = ninja_environment(toolchain.environ, launcher, compiler.environ)
    jobs = compile_jobs(toolchain.environ)
    logger.debug("%s: %d jobs (%s)", spec.name, jobs.count, jobs.reason)
    run_ninja(spec, work, text, jobs.count, on_progress, environ)


def _changed_source(spec: BuildSpec, sources: Mapping[str, str]) -> str | None:
    now = source_digests(spec)
    for path, digest in sources.items():
        if now[path] != digest:
            return spec.resolve(f"source/{path}")
    return None


def _written_since(moment_ns: int, headers: Mapping[str, str], spec: BuildSpec) -> bool:
    """Return whether a header was written since, by its change time, which programs cannot set."""
    return any(file_identity.status(spec.resolve(path))[4] >= moment_ns for path in headers)


def _moving_target(spec: BuildSpec, work: Path, what: str) -> BuildError:
    message = f"{what}: error: changed during the build; load the op again"
    return BuildError(spec.name, message, "ninja", work / "build.log")


def _headers(spec: BuildSpec, work: Path) -> list[str]:
    """Return the files that the compiler read, except for the sources."""
    sources = {f"source/{source.path}" for source in spec.sources}
    return [path for path in dependencies(work) if path not in sources]

"""Compile a spec to a library in a working folder."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import envs
from ..cache.entry import Digests, Entry, header_digests, link_digests
from ..cache.key import canonical, flag_file_digests, source_digests
from ..errors import BuildError, CommandError
from ..recipe import ninja, torch_target
from ..recipe.precompiled import FOLDER, HEADER_FILE, header_flags
from ..recipe.spec import BuildSpec
from ..system import file_identity
from ..toolchain.detect import Toolchain
from ..toolchain.environment import is_known, kept_variables, ninja_environment
from ..toolchain.jobs import compile_jobs
from ..toolchain.linker import linker_choice
from .diagnostics import tool_error
from .inputs import Inputs, UnknownInputsError, read_inputs
from .run_ninja import ProgressListener, run_ninja, write_ninja
from .scripts import linker_scripts
from .search import searches
from .stability import Watch

logger = logging.getLogger(__name__)

_ATTEMPTS = 3
_UNCOMPILED = "#include <torch/extension.h>\n"


def compile_library(
    spec: BuildSpec,
    toolchain: Toolchain,
    recipe: Mapping[str, Any],
    work: Path,
    on_progress: ProgressListener | None,
    precompiled: Entry | None = None,
) -> Digests:
    """Build the library in ``work``.

    Headers can only be hashed after the build, when an editor may have saved a new version, and an
    entry with the digest of that version would stay wrong forever. So if a file that was read may
    have changed during the build, the build is repeated until all of them stay the same.

    Args:
        spec: What to build.
        toolchain: What to build it with.
        recipe: The recipe in the library's key, with the digests of its sources.
        work: The working folder, which is empty.
        on_progress: Called after each step.
        precompiled: The precompiled header for the sources that can use it, if there is one.

    Returns:
        The digests of the headers that were compiled, and of what was linked.

    Raises:
        BuildError: Compiling or linking failed, a file that they read
            keeps changing, or they do not list the files that they read.
    """
    _lay_out(spec, work)
    if precompiled is not None:
        _lay_out_header(precompiled, work)
    contained = {} if precompiled is None else precompiled.manifest.headers
    known = [spec.resolve(f"source/{source}") for source in recipe["sources"]]
    known += [spec.resolve(file) for file in recipe["files"]]
    known += [str(root) for root in spec.roots.values()]
    known += [spec.resolve(folder) for folder in spec.include_dirs]
    for _ in range(_ATTEMPTS):
        watch = Watch(known, [str(work), *map(str, spec.roots.values())])
        _check_key(spec, recipe, work)
        _run(spec, toolchain, work, on_progress)
        inputs = _inputs(spec, work, contained)
        _check_key(spec, recipe, work)
        read = [spec.resolve(path) for path in inputs.all]
        appeared: list[str] = []
        try:
            digests = _digests(spec, toolchain, inputs, work)
            read = [spec.resolve(path) for path in (*digests.headers, *digests.linked)]
            others = [path for each in digests.lookups.values() for path in each["others"]]
            appeared = [spec.resolve(path) for path in others]
            changed = watch.changed([*known, *read, *appeared])
        except FileNotFoundError as error:  # deleted since a tool read it
            changed = [str(error.filename)]
        if not changed:
            _check_target(spec, digests.headers, work)
            outdated = [path for path in contained if digests.headers[path] != contained[path]]
            if outdated:  # written since the precompiled header was found
                raise _moving_target(spec, work, spec.resolve(outdated[0]))
            return digests
        known = list(dict.fromkeys([*known, *read, *appeared]))
        shutil.rmtree(work / "objects")
    raise _moving_target(spec, work, changed[0])


def _check_key(spec: BuildSpec, recipe: Mapping[str, Any], work: Path) -> None:
    """Refuse to build if a source or a file that a flag names is not what the key contains."""
    for name, now in (("sources", source_digests(spec)), ("files", flag_file_digests(spec))):
        for path, digest in {**now, **recipe[name]}.items():
            if now.get(path) != digest:
                spelled = f"source/{path}" if name == "sources" else path
                raise _moving_target(spec, work, spec.resolve(spelled))


def _check_target(spec: BuildSpec, headers: Iterable[str], work: Path) -> None:
    """Refuse a header that sets TORCH_TARGET_VERSION to a value that ``bound_to`` does not have."""
    if spec.binding != "stable":
        return
    flags = [*spec.cxx_flags, *(flag for source in spec.sources for flag in source.flags)]
    for path in headers:
        if path.startswith(("torch/", "/usr/")):
            continue
        value = torch_target.defined_in(spec.resolve(path))
        if value is not None and torch_target.macro_flag(value) not in flags:
            message = (
                f"{path}: error: {torch_target.MACRO} must be defined in a source or in "
                f"cxx_args(), got {value or 'several values'} in a header"
            )
            raise BuildError(spec.name, message, "ninja", work / "build.log")


def _inputs(spec: BuildSpec, work: Path, precompiled: Iterable[str]) -> Inputs:
    try:
        return read_inputs(spec, work, precompiled)
    except UnknownInputsError as error:
        raise BuildError(spec.name, str(error), "ninja", work / "build.log") from error


def _digests(spec: BuildSpec, toolchain: Toolchain, inputs: Inputs, work: Path) -> Digests:
    """Return the digests of what was read, and the searches.

    Raises:
        FileNotFoundError: A file was deleted since a tool read it.
    """
    headers = header_digests(inputs.headers, spec.resolve)
    linked = link_digests(inputs.linked, spec.resolve)
    found = _searches(spec, toolchain, inputs, work)
    scripts = _unlisted_scripts(spec, found["linked"], work)
    unlisted = [path for path in scripts if path not in inputs.linked]
    if unlisted:
        more = replace(inputs, linked=(*inputs.linked, *unlisted))
        return _digests(spec, toolchain, more, work)
    return Digests(headers, linked, found)


def _searches(
    spec: BuildSpec, toolchain: Toolchain, inputs: Inputs, work: Path
) -> dict[str, Mapping[str, Any]]:
    try:
        return searches(spec, toolchain.compiler(), inputs, work)
    except CommandError as error:
        raise tool_error(spec, error, work / "build.log") from error


def _unlisted_scripts(spec: BuildSpec, search: Mapping[str, Any], work: Path) -> list[str]:
    if not (work / ninja.LINKER_TRACE).exists():
        return []
    try:
        return linker_scripts(search["others"], search["folders"], spec.resolve)
    except UnknownInputsError as error:
        raise BuildError(spec.name, str(error), "ninja", work / "build.log") from error


def _lay_out(spec: BuildSpec, work: Path) -> None:
    """Write the ninja file, the units and an empty log, and create a link for each root."""
    (work / "build.log").touch()
    write_ninja(work / "build.ninja", ninja.render(spec))
    for unit in spec.units:
        if unit.includes:
            write_ninja(work / unit.path, ninja.unit_text(unit))
    for name, root in spec.roots.items():
        (work / name).symlink_to(root, target_is_directory=True)


def _lay_out_header(entry: Entry, work: Path) -> None:
    """Add the precompiled header, and the header itself for a compiler that cannot use it."""
    folder = work / FOLDER
    folder.mkdir()
    (folder / HEADER_FILE).write_text(_UNCOMPILED, encoding="utf-8")
    (folder / f"{HEADER_FILE}.gch").symlink_to(entry.library)


def _run(
    spec: BuildSpec, toolchain: Toolchain, work: Path, on_progress: ProgressListener | None
) -> None:
    compiler, launcher = toolchain.compiler(), toolchain.launcher()
    text = ninja.render_toolchain(
        compiler.command,
        launcher,
        kept=kept_variables(launcher, compiler.environ),
        lists_assembled="assembler" in compiler.lists and not is_known(launcher),
        lists_linked="linker" in toolchain.compiler(linker_choice(spec.ld_flags)).lists,
        precompiled=header_flags(compiler.family) if (work / FOLDER).is_dir() else "",
    )
    identity = ""
    if is_known(launcher):
        known = toolchain.fingerprint(native=spec.uses_native)
        identity = file_identity.digest_bytes(canonical(known))
    environ = ninja_environment(toolchain.environ, launcher, compiler.environ, identity)
    jobs = compile_jobs(toolchain.environ)
    logger.debug("%s: %d jobs (%s)", spec.name, jobs.count, jobs.reason)
    timeout = envs.BUILD_TIMEOUT.get(toolchain.environ) or None
    try:
        run_ninja(spec, work, text, jobs.count, on_progress, environ, timeout)
    except BuildError as error:
        if error.kind != "killed":
            raise
        # For example by the out-of-memory killer. Ninja keeps the objects that are finished.
        fewer = max(1, jobs.count // 2)
        logger.warning("%s; trying once more, with %d jobs", error, fewer)
        run_ninja(spec, work, text, fewer, on_progress, environ, timeout)


def _moving_target(spec: BuildSpec, work: Path, what: str) -> BuildError:
    message = f"{what}: error: changed during the build; load the op again"
    return BuildError(spec.name, message, "ninja", work / "build.log", "changed")

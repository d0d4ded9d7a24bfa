"""Compile an op's library and publish it in the cache, if no remote cache has it."""

from __future__ import annotations

import errno
import logging
import os
import re
import shutil
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .. import envs
from ..cache import key as key_of
from ..cache import store
from ..cache.claim import build_claim
from ..cache.entry import Digests, Entry
from ..cache.key import BuildKey
from ..cache.layers import Layer, first_writable
from ..cache.lock import build_lock
from ..cache.manifest import Manifest
from ..errors import (
    AscendOpsError,
    BuildError,
    CacheError,
    CompilerNotFoundError,
    UnsafeCacheError,
)
from ..recipe import ninja, precompiled
from ..recipe.spec import BuildSpec
from ..system import file_identity, memo
from ..system.private_folder import make_below, write_file
from ..toolchain import cpu_info
from ..toolchain.environment import is_known
from ..version import __version__
from .compile import compile_library
from .fetch import fetch, search_remote
from .plan import Plan
from .run_ninja import ProgressListener
from .undefined import check_undefined

logger = logging.getLogger(__name__)

_FULL_BYTES = 65_536  # less than any op takes
_ROOM_FOR_HEADER = 4 << 30  # GCC's precompiled torch/extension.h takes 0.8 GB
# It takes 51 CPU seconds, and a source that uses it 17 instead of 36 (GCC 12, -O3).
_SOURCES_THAT_PAY = 3


def build(
    plan: Plan,
    on_progress: ProgressListener | None = None,
    *,
    again: bool = False,
    own: bool = False,
) -> Entry:
    """Compile and publish an op, under its lock, or download it from the remote cache.

    A layer that cannot be written to, or whose disk is full, is skipped with a warning.

    Args:
        plan: What to build.
        on_progress: Called after each step.
        again: Build even if there is a usable entry.
        own: Replace an entry that was downloaded, because it cannot be loaded.

    Returns:
        The published entry, or one that another process has published in the meantime.

    Raises:
        CompilerNotFoundError: There is no compiler.
        BuildError: Compiling or linking failed, in this process or in the one that it waited for.
        CacheError: No layer can be written to, or the user's cache is unsafe.
    """
    try:
        key = plan.build_key()
    except CompilerNotFoundError:
        found = None if again or own else fetch(plan)
        if found is None:
            raise
        return found
    with build_lock(plan.spec.name, key.digest, plan.environ) as lock:
        # another process may have built it during the wait
        found = None if again else _found(plan, own=own)
        if found is not None:
            return found
        replayed = _replayed(lock.failure or {})
        if replayed is not None:
            raise replayed
        try:
            return _obtain(plan, key, on_progress, again=again, own=own)
        except BuildError as error:
            if not error.is_transient:
                lock.report_failure(_as_data(error))
            raise


def _obtain(
    plan: Plan, key: BuildKey, on_progress: ProgressListener | None, *, again: bool, own: bool
) -> Entry:
    """Wait for another machine that builds it in the same folder; else download or build it."""
    layer = first_writable(plan.layers)
    root = None if layer is None else layer.root
    with build_claim(root, plan.spec.name, key.digest, plan.environ) as has_waited:
        found = _found(plan, own=own) if has_waited and not again else None
        if found is None and not again and not own:
            found = search_remote(plan, key)
        return found or _build_in_first(plan, key, on_progress)


def _found(plan: Plan, *, own: bool) -> Entry | None:
    """Return a usable entry; with ``own``, set those aside that were downloaded."""
    while (entry := plan.find().entry) is not None and own and entry.is_downloaded:
        layer = next(layer for layer in plan.layers if layer.name == entry.layer)
        store.set_aside(layer, entry.path)
    return entry


def _build_in_first(plan: Plan, key: BuildKey, on_progress: ProgressListener | None) -> Entry:
    """Build in the first layer that can be written to."""
    troubles: list[str] = []
    for layer in plan.layers:
        if layer.shipped:
            continue
        try:
            layer.prepare()
            noexec = layer.noexec()
            if noexec is None:
                return _build_in(layer, plan, key, on_progress)
            troubles.append(noexec)
        except UnsafeCacheError as error:
            if layer.name == "user":  # its owner needs to know
                raise
            troubles.append(str(error))
        except OSError as error:
            troubles.append(f"{layer.root}: {error.strerror or error}")
        logger.warning("%s: cannot build in %s", plan.spec.name, troubles[-1])
    places = "".join(f"\n  - {trouble}" for trouble in troubles)
    raise CacheError(
        f"no cache folder can hold a build of {plan.spec.name}:{places}\n"
        f"Free some space, or set {envs.CACHE_DIR.name} to a writable folder."
    )


def build_into(plan: Plan, layer: Layer, on_progress: ProgressListener | None = None) -> Entry:
    """Compile an op and publish it in ``layer``, for an ahead-of-time build.

    If this user's cache has a build of the same content, that is copied.

    Args:
        plan: What to build.
        layer: The layer, which is created if it does not exist.
        on_progress: Called after each step.

    Returns:
        The published entry.

    Raises:
        CompilerNotFoundError: There is no compiler.
        BuildError: Compiling or linking failed.
        OSError: The layer cannot be written to.
    """
    layer.prepare()
    key = plan.build_key()
    return _copy_into(layer, plan, key) or _build_in(layer, plan, key, on_progress)


def _copy_into(layer: Layer, plan: Plan, key: BuildKey) -> Entry | None:
    """Publish a copy of what this user built earlier, but not of what was downloaded."""
    found = plan.find().entry
    if found is None or found.layer != "user" or found.is_downloaded:
        return None
    manifest = found.manifest
    with store.staging(layer, plan.spec.name) as work:
        try:
            for name in manifest.files:
                shutil.copyfile(found.path / name, work / name)
        except FileNotFoundError:  # pruned in between
            return None
        if file_identity.digest_file(work / manifest.payload) != manifest.payload_digest:
            return None
        copy = store.publish(layer, key, work, manifest)
    logger.info("copied %s from %s: %s", plan.spec.name, found.path, copy.path)
    return copy


def _build_in(
    layer: Layer, plan: Plan, key: BuildKey, on_progress: ProgressListener | None
) -> Entry:
    spec = plan.spec
    with store.staging(layer, spec.name) as work:
        started = time.monotonic()
        try:
            header = _precompiled(plan, work, on_progress)
            digests = compile_library(spec, plan.toolchain, plan.recipe, work, on_progress, header)
            check_undefined(spec, work, digests.linked)
            _check_compiler(plan, key, work)
        except BuildError as error:
            if _is_full(work) or (error.kind == "full disk" and _concerns(error, work)):
                raise OSError(errno.ENOSPC, _full_disk_reason(error)) from error
            raise _keep_log(layer, error) from None
        manifest = _manifest(spec, key, work, digests, time.monotonic() - started)
        built = store.publish(layer, key, work, manifest)
    logger.info("built %s in %.2f s: %s", spec.name, manifest.build_seconds, built.path)
    return built


def _precompiled(plan: Plan, work: Path, on_progress: ProgressListener | None) -> Entry | None:
    """Return the precompiled header for an op, building it first if that is worth its time.

    An op can be built without it, so nothing that is wrong with it is an error.
    """
    uses = sum(source.precompiled for source in plan.spec.sources)
    if not uses:
        return None
    if is_known(plan.toolchain.launcher()):  # ccache does not cache what includes it
        return None
    state = os.statvfs(work)
    if state.f_bavail * state.f_frsize < _ROOM_FOR_HEADER:
        return None
    compiler = plan.toolchain.compiler()
    spec = precompiled.header_spec(plan.spec, compiler.family, compiler.version)
    recipe = key_of.recipe(spec, plan.toolchain)
    local = tuple(layer for layer in plan.layers if not layer.shipped)
    header_plan = Plan(spec, plan.toolchain, recipe, local, plan.build_var, plan.package)
    try:
        entry = header_plan.find().entry
        if entry is None and _pays(header_plan, uses):
            entry = build(header_plan, on_progress)
    except (AscendOpsError, OSError) as error:
        logger.info("%s: built without a precompiled header: %s", plan.spec.name, error)
        return None
    if entry is None:
        return None
    hidden = precompiled.hidden_header(plan.spec, entry.manifest.headers)
    if hidden is not None:
        logger.info("%s: built without a precompiled header: %s", plan.spec.name, hidden)
        return None
    return entry


def _pays(header: Plan, uses: int) -> bool:
    """Return whether enough sources were compiled that a precompiled header is built for the next.

    Whether there will be more ops of the same flags is unknown. So the header is built once the
    sources without it, those that are about to be compiled included, would have paid for it: at
    worst, the builds take twice as long as if the future were known.
    """
    memos, key = header.toolchain.memo_dir, ["without header", header.build_key().digest]
    known = memo.recall(memos, key)
    uses += known if isinstance(known, int) else 0
    memo.remember(memos, key, uses, files=[])
    return uses >= _SOURCES_THAT_PAY


def _check_compiler(plan: Plan, key: BuildKey, work: Path) -> None:
    """Refuse a library if the compiler was replaced while it was built."""
    if plan.build_key().digest != key.digest:
        message = "error: the compiler changed during the build; load the op again"
        raise BuildError(plan.spec.name, message, "ninja", work / "build.log", "changed")


def _manifest(
    spec: BuildSpec, key: BuildKey, work: Path, digests: Digests, seconds: float
) -> Manifest:
    library = work / ninja.library_name(spec)
    return Manifest(
        recipe=key.recipe,
        toolchain=key.toolchain,
        headers=digests.headers,
        linked=digests.linked,
        lookups=digests.lookups,
        payload=library.name,
        payload_digest=file_identity.digest_file(library),
        payload_bytes=library.stat().st_size,
        cpu_features=tuple(sorted(cpu_info.features())) if "native" in key.toolchain else (),
        build_seconds=round(seconds, 3),
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        project_version=__version__,
    )


def _is_full(folder: Path) -> bool:
    state = os.statvfs(folder)
    return state.f_bavail * state.f_frsize < _FULL_BYTES or (
        state.f_files > 0 and state.f_favail == 0
    )


def _concerns(error: BuildError, work: Path) -> bool:
    """Return whether the disk that an error names is that of ``work``, not that of TMPDIR."""
    named = re.search(r"(/[^:'\u2018\u2019]*)", error.first_error.rpartition(": ")[0])
    if named is None:
        return True
    try:
        return Path(named[1]).parent.stat().st_dev == work.stat().st_dev
    except OSError:
        return True


def _full_disk_reason(error: BuildError) -> str:
    reason = os.strerror(errno.ENOSPC)
    return error.first_error if error.kind == "full disk" else f"{reason}: {error.first_error}"


def _keep_log(layer: Layer, error: BuildError) -> BuildError:
    """Copy the log out of the working folder, and return the error with its new path."""
    assert error.log is not None
    kept = layer.root / "failed" / f"{error.op}.log"
    try:
        make_below(layer.root, kept.parent, 0o700)
        write_file(kept, error.log.read_bytes(), 0o700)
    except OSError:
        return BuildError(error.op, error.first_error, error.command, None, error.kind)
    return BuildError(error.op, error.first_error, error.command, kept, error.kind)


def _as_data(error: BuildError) -> dict[str, str | None]:
    log = str(error.log) if error.log else None
    return {
        "op": error.op,
        "first_error": error.first_error,
        "command": error.command,
        "log": log,
        "kind": error.kind,
    }


def _replayed(data: Mapping[str, Any]) -> BuildError | None:
    """Return the error in a lock file; None if the file contains none, or an odd one."""
    op, first_error, command = (data.get(name) for name in ("op", "first_error", "command"))
    if not (isinstance(op, str) and isinstance(first_error, str) and isinstance(command, str)):
        return None
    log = Path(data["log"]) if data.get("log") else None
    kind = "timeout" if data.get("kind") == "timeout" else "diagnostic"
    return BuildError(op, first_error, command, log, kind)

"""Find an op's library in a layer of the cache, or build it; then load it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from .. import envs
from ..cache.entry import Entry
from ..cache.store import Lookup
from ..errors import CompilerNotFoundError, JitDisabledError, LoadError
from ..lazy_dataclass import replace
from .library import load_library
from .plan import Plan

if TYPE_CHECKING:
    from .run_ninja import ProgressListener

logger = logging.getLogger(__name__)


def load_op(plan: Plan, on_progress: ProgressListener | None = None) -> tuple[Any, Entry, bool]:
    """Load an op, building it first if no layer of the cache has it.

    An intact library that cannot be loaded is an error at once, since the same sources would give
    the same library. Only one that was built elsewhere (shipped or downloaded) is replaced by a
    local build.

    Args:
        plan: The op.
        on_progress: Called after each step of a build.

    Returns:
        The op's module, the entry that it comes from, and whether that was built now.

    Raises:
        JitDisabledError: The op must be built, but ASCEND_OPS_JIT=0 disables that.
        CompilerNotFoundError: The op must be built, but there is no compiler.
        BuildError: Compiling or linking failed.
        CacheError: No cache folder can be written, or one is unsafe.
        LoadError: The library was built but cannot be loaded.
    """
    lookup, is_new = _obtain(plan, on_progress)
    found = _entry(lookup)
    is_shipped = any(layer.shipped for layer in plan.layers if layer.name == found.layer)
    try:
        return _load(plan, lookup), found, is_new
    except LoadError as error:
        is_foreign = is_shipped or found.is_downloaded
        if is_new or not (is_foreign or found.damage()):
            raise
        logger.warning("%s; rebuilding it", error)
        first_error = error
    local = replace(plan, layers=tuple(layer for layer in plan.layers if not layer.shipped))
    try:
        lookup, is_new = _obtain(local, on_progress, own=found.is_downloaded)
    except JitDisabledError as error:
        refusals = (f"{found.layer}: {first_error}", *error.refusals)
        raise JitDisabledError(error.op, error.build_var, refusals, error.package) from first_error
    except CompilerNotFoundError as error:
        raise first_error from error
    return _load(plan, lookup), _entry(lookup), is_new


def _load(plan: Plan, lookup: Lookup) -> Any:
    library = lookup.library or _entry(lookup).open_library()
    if isinstance(library, str):  # changed since it was built
        raise LoadError(plan.spec.name, _entry(lookup).library, library)
    with library:
        return load_library(plan.spec, library)


def _entry(lookup: Lookup) -> Entry:
    assert lookup.entry is not None
    return lookup.entry


def obtain(plan: Plan, on_progress: ProgressListener | None = None) -> tuple[Entry, bool]:
    """Return an entry for the op, building it if no layer of the cache has it.

    Args:
        plan: The op.
        on_progress: Called after each step of a build.

    Returns:
        The entry, and whether it was built now.

    Raises:
        JitDisabledError: The op must be built, but ASCEND_OPS_JIT=0 disables that.
        CompilerNotFoundError: The op must be built, but there is no compiler.
        BuildError: Compiling or linking failed.
        CacheError: No cache folder can be written, or one is unsafe.
    """
    lookup, is_new = _obtain(plan, on_progress)
    return _entry(lookup), is_new


def _obtain(
    plan: Plan, on_progress: ProgressListener | None, *, own: bool = False
) -> tuple[Lookup, bool]:
    """Return a usable entry and whether it was built now; ``own`` excludes downloaded entries."""
    lookup = plan.find()
    if lookup.entry is not None and not (own and lookup.entry.is_downloaded):
        return lookup, False
    for refusal in lookup.refusals:
        logger.info("%s", refusal)
    if not envs.JIT.get(plan.environ):
        from .fetch import fetch  # like the next, not imported by a cache hit

        fetched = None if own else fetch(plan)
        if fetched is not None:
            return Lookup(fetched), False
        raise JitDisabledError(plan.spec.name, plan.build_var, lookup.refusals, plan.package)
    from .publish import build

    entry = build(plan, on_progress, own=own)
    return Lookup(entry), not entry.is_downloaded

"""Find an op's library in a layer or build it, then load it."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .. import envs
from ..cache import store
from ..cache.entry import Entry
from ..errors import JitDisabledError, LoadError
from .library import load_library
from .plan import Plan

if TYPE_CHECKING:
    from .run_ninja import ProgressListener

logger = logging.getLogger(__name__)


def load_op(plan: Plan, on_progress: ProgressListener | None = None) -> tuple[Any, Entry]:
    """Load the op, building it first if no layer has it.

    A library that does not load counts as a miss: it is set aside and built once more. If the new
    one does not load either, that is an error.

    Returns:
        The loaded module and the entry it came from.

    Raises:
        JitDisabledError: No layer has the op, and ASCEND_OPS_JIT=0 forbids building it.
        CompilerNotFoundError: No compiler is usable.
        BuildError: Compiling or linking failed.
        CacheError: No cache folder is usable.
        LoadError: The library was built and does not load.
    """
    found, is_new = obtain(plan, on_progress)
    try:
        return load_library(plan.spec, found.library), found
    except LoadError as error:
        if is_new:
            raise
        logger.warning("%s; building it again", error)
        first_error = error
    layer = next(layer for layer in plan.layers if layer.name == found.layer)
    others = [other for other in plan.layers if not other.shipped]
    if not layer.shipped:
        try:
            store.set_aside(layer, found.path)
        except OSError:  # read-only: the same entry would be found again
            others.remove(layer)
    local = replace(plan, layers=tuple(others))
    try:
        found, _ = obtain(local, on_progress)
    except JitDisabledError as error:
        raise error from first_error
    return load_library(plan.spec, found.library), found


def obtain(plan: Plan, on_progress: ProgressListener | None = None) -> tuple[Entry, bool]:
    """Return an entry for the op, and whether it was built just now."""
    lookup = plan.find()
    if lookup.entry is not None:
        return lookup.entry, False
    for refusal in lookup.refusals:
        logger.info("%s", refusal)
    if not envs.JIT.get(plan.environ):
        raise JitDisabledError(plan.spec.name, plan.build_var, lookup.refusals, plan.package)
    from .publish import build  # a cache hit does not need this import

    return build(plan, on_progress), True

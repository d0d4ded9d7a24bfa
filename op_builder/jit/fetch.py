"""Look an op up in the remote cache, once per node."""

from __future__ import annotations

from .. import envs
from ..cache.entry import Entry
from ..cache.key import BuildKey, canonical
from ..cache.lock import build_lock
from ..system.file_identity import digest_bytes
from .plan import Plan


def search_remote(plan: Plan, key: BuildKey | None) -> Entry | None:
    """Return the op's entry, downloaded from the remote cache; None if that is not possible.

    Args:
        plan: The op.
        key: The key that the entry must have; None takes any build of the recipe.

    Raises:
        EnvironmentVariableError: A variable of the remote cache cannot be parsed.
    """
    if not envs.REMOTE_CACHE.get(plan.environ):
        return None
    from ..remote.download import Wanted, download  # not imported without a remote cache

    return download(Wanted(plan.spec, plan.recipe, key, plan.layers, plan.environ))


def fetch(plan: Plan) -> Entry | None:
    """Return the op's entry from the remote cache, for a process that must not or cannot build it.

    Other processes of the machine that need the same op wait, and use what was downloaded.

    Raises:
        EnvironmentVariableError: A variable of the remote cache cannot be parsed.
        CompilerNotFoundError: CXX names a compiler that does not work.
    """
    if not envs.REMOTE_CACHE.get(plan.environ):
        return None
    key = plan.key_or_none
    name = digest_bytes(canonical(plan.recipe))[:40] if key is None else key.digest
    with build_lock(plan.spec.name, name, plan.environ):
        return plan.find().entry or search_remote(plan, key)

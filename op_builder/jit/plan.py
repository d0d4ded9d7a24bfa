"""One op on one machine: what to build, and which layers to search."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..cache import store
from ..cache.key import BuildKey
from ..cache.layers import Layer
from ..cache.store import Lookup
from ..errors import CompilerNotFoundError
from ..recipe.spec import BuildSpec
from ..toolchain.detect import Toolchain

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """One op on one machine: what to build, and which layers to search."""

    spec: BuildSpec
    toolchain: Toolchain
    recipe: Mapping[str, Any]
    layers: tuple[Layer, ...]
    build_var: str
    package: str  # the distribution that the op belongs to

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment that the plan was made from."""
        return self.toolchain.environ

    def build_key(self) -> BuildKey:
        """Return the whole key; raises CompilerNotFoundError."""
        fingerprint = self.toolchain.fingerprint(native=self.spec.uses_native)
        return BuildKey(self.recipe, fingerprint)

    def find(self) -> Lookup:
        """Search the layers, in order, for a usable build of the op.

        The build key, which needs a compiler, is computed only if no shipped layer has the op and
        another layer contains builds of it; no process is started if the compiler is known
        already.
        """
        lookup = Lookup()
        for folder in store.op_folders(self.layers, self.recipe, lookup):
            key = None if folder.layer.shipped else self._key_or_none
            if store.find_in(folder, self.spec, self.recipe, key, lookup):
                break
        return lookup

    @cached_property
    def _key_or_none(self) -> BuildKey | None:
        try:
            return self.build_key()
        except CompilerNotFoundError as error:
            logger.info("%s: accepting any build of this recipe: %s", self.spec.name, error)
            return None

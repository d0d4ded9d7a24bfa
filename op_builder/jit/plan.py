"""One op on one machine: what would be built, and which layers are searched for it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from .. import envs
from ..cache import store
from ..cache.key import BuildKey
from ..cache.layers import Layer
from ..cache.store import Lookup
from ..errors import CommandError, CompilerNotFoundError
from ..lazy_dataclass import dataclass
from ..recipe.spec import BuildSpec
from ..toolchain.detect import Toolchain
from ..toolchain.linker import linker_choice

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """One op on one machine: what would be built, and which layers are searched for it.

    Attributes:
        spec: What the build consists of.
        toolchain: What it is built with.
        recipe: The part of its key that requires no compiler.
        layers: The layers of the cache, in search order.
        build_var: The variable that builds the op ahead of time.
        package: The name to ``pip install`` to get the op.

    Example:
        >>> from op_builder import CPUAdamBuilder
        >>> plan = CPUAdamBuilder().plan()
        >>> [layer.name for layer in plan.layers if not layer.shipped]
        ['user', 'temporary']
    """

    spec: BuildSpec
    toolchain: Toolchain
    recipe: Mapping[str, Any]
    layers: tuple[Layer, ...]
    build_var: str
    package: str

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment of the toolchain."""
        return self.toolchain.environ

    def build_key(self) -> BuildKey:
        """Return the whole key.

        Raises:
            CompilerNotFoundError: There is no compiler.
            BuildError: A signal, a full disk or a time limit ended the compiler.
        """
        try:
            linker = linker_choice(self.spec.ld_flags)
            fingerprint = self.toolchain.fingerprint(native=self.spec.uses_native, linker=linker)
        except CommandError as error:
            from .diagnostics import tool_error  # not needed by a cache hit

            raise tool_error(self.spec, error) from error
        return BuildKey(self.recipe, fingerprint)

    def find(self) -> Lookup:
        """Search the layers, in order, for a usable build of the op.

        The key, which requires a compiler, is computed only if no shipped layer has the op and one
        of the others has builds of it. No process is started if the compiler was probed before.

        Raises:
            UnsafeCacheError: The user's own cache is not safe to load from.
            CompilerNotFoundError: CXX names a compiler that does not work.
        """
        lookup = Lookup()
        for folder in store.op_folders(self.layers, self.recipe, lookup):
            key = None if folder.layer.shipped else self.key_or_none
            if store.find_in(folder, self.spec, self.recipe, key, lookup):
                break
        return lookup

    @cached_property
    def key_or_none(self) -> BuildKey | None:
        """The whole key; None on a machine without a compiler.

        Raises:
            CompilerNotFoundError: CXX names a compiler that does not work.
        """
        try:
            return self.build_key()
        except CompilerNotFoundError as error:
            if envs.CXX.get(self.environ):  # the user's choice is never replaced
                raise
            logger.info("%s: accepting any build of this recipe: %s", self.spec.name, error)
            return None

"""Functions to call right after a module has been imported, without importing it now."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

logger = logging.getLogger(__name__)

Hook = Callable[[ModuleType], None]

_hooks: dict[str, list[Hook]] = {}
#: The keys of `_hooks` that are patterns. They are few or none, and every import looks at them.
_patterns: list[str] = []


def after_import(name: str, hook: Hook) -> None:
    """Call ``hook(module)`` after each execution of the module ``name``.

    An exception from the hook is logged and does not reach the importer. For modules that have
    been imported already, the hook is called at once.

    Args:
        name: the full name of the module, or a pattern of :mod:`fnmatch` for several,
            which contains ``*``.
        hook: is called with the module before its importer gets it.
    """
    _hooks.setdefault(name, []).append(hook)
    if not any(isinstance(finder, PostImportFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, PostImportFinder())
    names = [name]
    if "*" in name:
        if name not in _patterns:
            _patterns.append(name)
        names = [other for other in list(sys.modules) if fnmatchcase(other, name)]
    for imported in names:
        module = sys.modules.get(imported)
        if module is not None and not getattr(module.__spec__, "_initializing", False):
            _call(hook, module)


def _hooks_of(name: str) -> list[Hook]:
    found = list(_hooks.get(name, ()))
    for pattern in _patterns:
        if fnmatchcase(name, pattern):
            found += _hooks[pattern]
    return found


class PostImportFinder:
    """Finds the modules that have hooks, through the other finders, and wraps their loaders."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a module that has a hook, else None."""
        if not _hooks_of(name):
            return None
        others = (finder for finder in list(sys.meta_path) if finder is not self)
        specs = (finder.find_spec(name, path, target) for finder in others)
        spec = next((spec for spec in specs if spec is not None), None)
        if spec is not None and hasattr(spec.loader, "exec_module"):
            spec.loader = _HookedLoader(spec.loader)
        return spec


class _HookedLoader(Loader):
    """Executes a module with its own loader, which it keeps, then calls the hooks."""

    def __init__(self, own: Any) -> None:
        self._own = own

    def __getattr__(self, name: str) -> Any:  # is_package, get_code and the like
        return getattr(self._own, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        module: ModuleType | None = self._own.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._own
        if module.__spec__ is not None:
            module.__spec__.loader = self._own
        self._own.exec_module(module)
        for hook in _hooks_of(module.__name__):
            _call(hook, module)


def _call(hook: Hook, module: ModuleType) -> None:
    try:
        hook(module)
    except Exception:  # noqa: BLE001 - the module must stay usable without the hook
        logger.warning("the hook of ascend_ops for %s failed", module.__name__, exc_info=True)

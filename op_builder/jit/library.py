"""Load a shared library as an object that Python can call.

The loader gets the descriptor of the library whose digest was verified, as ``/proc/self/fd/N``, so
nothing can replace the file between the check and the load.
"""

from __future__ import annotations

import atexit
import importlib.machinery
import importlib.util
import itertools
import os
import types
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..cache.open_library import OpenLibrary
from ..errors import LoadError

if TYPE_CHECKING:
    from collections.abc import Container
    from typing import Protocol

    class Loadable(Protocol):
        """How a library is loaded; ``BuildSpec`` describes each attribute."""

        @property
        def name(self) -> str: ...
        @property
        def binding(self) -> str: ...
        @property
        def namespace(self) -> str: ...
        @property
        def bound_to(self) -> Container[str]: ...


class OpModule(types.ModuleType):
    """The functions of a torch namespace as a module: ``module.f`` is ``torch.ops.<namespace>.f``.

    A function is resolved when it is first used. DeepSpeed's ``ds_opt_adam`` is such a module, and
    DeepSpeed calls ``destroy_adam`` in a finalizer, when torch is gone already. So the functions
    that were not used are resolved when the interpreter begins to exit.
    """

    def __init__(
        self, name: str, library: Path, namespace: Any, functions: Iterable[str] = ()
    ) -> None:
        super().__init__(name, f"torch.ops.{namespace.name}, from {library}")
        self.__file__ = str(library)
        self._namespace = namespace
        self._functions = tuple(functions)
        atexit.register(self._resolve)

    def _resolve(self) -> None:
        for name in self._functions:
            getattr(self, name, None)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._functions})

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            packet = getattr(self._namespace, name)
        except AttributeError as error:
            raise AttributeError(f"{self.__name__} has no function {name!r}") from error
        # Calling an overload is 2 us faster than calling its packet, which selects one first.
        overloads = packet.overloads()
        function = getattr(packet, overloads[0]) if len(overloads) == 1 else packet
        setattr(self, name, function)
        return function


def load_library(
    spec: Loadable, library: OpenLibrary, functions: Iterable[str] | None = None
) -> Any:
    """Load ``library`` into this process.

    Args:
        spec: How it is loaded.
        library: The library.
        functions: What :func:`functions_of` returned for it before; None if it is not known.

    Returns:
        A ``ctypes.CDLL`` for the binding ``ctypes``; a module for the others. Its ``_name`` or
        ``__file__`` is the library's real path.

    Raises:
        LoadError: The library cannot be loaded; the error has the message of the loader.
    """
    alias = _alias(library)
    try:
        if "torch" in spec.bound_to:
            import torch  # noqa: F401 - loads the libraries that this one is linked against

        handle = None
        if spec.binding == "ctypes":
            loaded: Any = _load_ctypes(library, alias)
            handle = loaded._handle
        elif spec.binding == "python":
            loaded = _load_python(spec.name, library, alias)
        else:
            loaded, handle = _load_torch(spec, library, alias, functions)
    except (OSError, ImportError, RuntimeError) as error:
        reason = str(error.__cause__ or error).replace(alias, str(library.path))
        raise LoadError(spec.name, library.path, reason) from error
    if library.identity not in _aliases:
        _aliases[library.identity] = alias
        _show_real_path(alias, library.path, handle)
    return loaded


def functions_of(module: Any) -> tuple[str, ...]:
    """Return the names of a loaded op's functions that torch dispatches."""
    return module._functions if isinstance(module, OpModule) else ()


def _show_real_path(alias: str, path: Path, handle: int | None) -> None:
    """Enter the real path in the loader's list, which debuggers and stack traces print.

    A later ``dlopen`` of the path then finds this library. The name is allocated with ``strdup``,
    since the loader would free it.
    """
    import ctypes

    if alias == str(path):
        return
    strdup = ctypes.pythonapi.strdup
    strdup.restype, strdup.argtypes = ctypes.c_void_p, [ctypes.c_char_p]
    if handle is None:  # Python opened it
        handle = ctypes.CDLL(alias, os.RTLD_NOLOAD | os.RTLD_NOW)._handle
    # The handle points to a link_map, whose second field is l_name (<link.h>).
    l_name = ctypes.c_void_p.from_address(handle + ctypes.sizeof(ctypes.c_void_p))
    l_name.value = strdup(os.fsencode(path))


# The name that each file was loaded by. A second load of a file must use the same name, so that
# Python returns the same extension module instead of initializing another one. No two files may
# have one, since glibc recognizes a loaded library by its name, and descriptors are reused.
_aliases: dict[tuple[int, int], str] = {}
_numbers = itertools.count(1)


def _alias(library: OpenLibrary) -> str:
    """Return a path that leads to the open file and that no other file was loaded by."""
    known = _aliases.get(library.identity)
    if known is None and not os.path.isdir("/proc/self/fd"):  # noqa: PTH112 - on every cache hit
        return str(library.path)  # a root folder without /proc
    return known or f"/proc/self/fd/{'./' * next(_numbers)}{library.descriptor}"


def _load_ctypes(library: OpenLibrary, alias: str) -> Any:
    import ctypes  # importing it opens a library

    loaded = ctypes.CDLL(alias)
    loaded._name = str(library.path)
    return loaded


def _load_torch(
    spec: Loadable, library: OpenLibrary, alias: str, functions: Iterable[str] | None
) -> tuple[OpModule, int]:
    """Load a library that registers functions with torch; return its module and handle.

    ``torch.ops.load_library`` would resolve the alias, and so open whatever has the path now.
    """
    import ctypes

    import torch

    handle = ctypes.CDLL(alias)._handle
    torch.ops.loaded_libraries.add(str(library.path))
    namespace = getattr(torch.ops, spec.namespace)
    names = _functions(spec, library) if functions is None else functions
    return OpModule(spec.name, library.path, namespace, names), handle


def _functions(spec: Loadable, library: OpenLibrary) -> list[str]:
    """Return the names of a library's functions, from the schemas that it registers.

    The stable ABI takes a schema as text, which is found in the library in 0.1 ms. Torch lists the
    functions of all other bindings, of which there are 3,600, in 2 ms.
    """
    if spec.binding == "stable":
        size = os.fstat(library.descriptor).st_size
        return sorted(set(_names_in_schemas(os.pread(library.descriptor, size, 0))))
    import torch

    prefix = f"{spec.namespace}::"
    listed = torch._C._dispatch_get_all_op_names()
    return sorted(
        {name.removeprefix(prefix).partition(".")[0] for name in listed if name.startswith(prefix)}
    )


def _names_in_schemas(content: bytes) -> Iterator[str]:
    """Yield the name in each null-terminated ``name.overload(arguments) -> results``."""
    found = content.find(b") -> ")
    while found >= 0:
        schema = content[content.rfind(b"\0", 0, found) + 1 : found]
        name = schema.partition(b"(")[0].partition(b".")[0]
        if name.isalnum() or name.replace(b"_", b"").isalnum():
            yield name.rpartition(b"::")[2].decode("ascii")
        found = content.find(b") -> ", found + 1)


class _DescriptorLoader(importlib.machinery.ExtensionFileLoader):
    """Loads an extension module by an alias; ``__file__`` and the spec have the real path."""

    def __init__(self, name: str, path: str, alias: str) -> None:
        super().__init__(name, path)
        self._alias = alias

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        """Open the library by its alias."""
        by_alias = importlib.machinery.ModuleSpec(spec.name, self, origin=self._alias)
        return super().create_module(by_alias)


def _load_python(name: str, library: OpenLibrary, alias: str) -> types.ModuleType:
    loader = _DescriptorLoader(name, str(library.path), alias)
    spec = importlib.util.spec_from_file_location(name, library.path, loader=loader)
    if spec is None:
        raise ImportError(f"{library.path} is not an extension module")
    module = importlib.util.module_from_spec(spec)
    module.__file__ = str(library.path)
    loader.exec_module(module)
    return module

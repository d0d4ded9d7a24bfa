"""Load a shared library as an object that Python can call."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import types
from pathlib import Path
from typing import Any

from ..errors import LoadError
from ..recipe.spec import BuildSpec


class OpModule(types.ModuleType):
    """The functions of a torch namespace as a module: ``module.f`` is ``torch.ops.<namespace>.f``.

    DeepSpeed's ``ds_opt_adam`` is such a module.
    """

    def __init__(self, name: str, library: Path, namespace: Any) -> None:
        super().__init__(name, f"torch.ops.{namespace.name}, from {library}")
        self.__file__ = str(library)
        self._namespace = namespace

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


def load_library(spec: BuildSpec, library: Path) -> Any:
    """Load ``library`` into this process.

    Returns:
        A ``ctypes.CDLL`` for the binding ``ctypes``; a module for the others.

    Raises:
        LoadError: The library cannot be loaded; the error has the message of the loader.
    """
    try:
        if "torch" in spec.bound_to:
            import torch  # noqa: F401 - loads the libraries that this one is linked against

        if spec.binding == "ctypes":
            import ctypes  # importing it opens a library

            return ctypes.CDLL(str(library))
        if spec.binding == "python":
            return _load_python(spec.name, library)
        return _load_torch(spec, library)
    except (OSError, ImportError, RuntimeError) as error:
        raise LoadError(spec.name, library, str(error.__cause__ or error)) from error


def _load_torch(spec: BuildSpec, library: Path) -> OpModule:
    import torch

    torch.ops.load_library(str(library))
    return OpModule(spec.name, library, getattr(torch.ops, spec.namespace))


def _load_python(name: str, library: Path) -> types.ModuleType:
    loader = importlib.machinery.ExtensionFileLoader(name, str(library))
    spec = importlib.util.spec_from_file_location(name, library, loader=loader)
    if spec is None:
        raise ImportError(f"{library} is not an extension module")
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module

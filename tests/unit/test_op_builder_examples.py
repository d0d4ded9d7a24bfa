"""The examples in the docstrings of op_builder run, and every public class has one."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil

import pytest

import op_builder

MODULES = [
    module.name
    for module in pkgutil.walk_packages(op_builder.__path__, "op_builder.")
    if ".csrc" not in module.name
]
PUBLIC = {
    "op_builder": tuple(op_builder.__all__),
    "op_builder.cann": ("CannInstall", "CannVersion"),
    "op_builder.setuptools_command": ("BuildOps", "OpExtension", "requested_extensions"),
    "op_builder.toolchain": ("Toolchain",),
}


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str) -> None:
    found = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert found.failed == 0


@pytest.mark.parametrize(
    ("module", "name"), [(module, name) for module, names in PUBLIC.items() for name in names]
)
def test_public_classes_and_functions_have_an_example(module: str, name: str) -> None:
    value = getattr(importlib.import_module(module), name)
    if inspect.isclass(value) and ".ops." in value.__module__:
        return  # one of this project's ops: a name, sources and flags
    if inspect.isclass(value) or inspect.isfunction(value):
        assert ">>> " in inspect.getdoc(value), value

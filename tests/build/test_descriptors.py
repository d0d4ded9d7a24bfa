"""Libraries are loaded through descriptors: names, second loads and debuggers see real paths."""

from __future__ import annotations

import textwrap

import pytest
from sandbox import ANSWER, Sandbox

# The file that dladdr(3) names for a function, as debuggers and stack traces do.
NAME_OF = textwrap.dedent(
    """
    import builtins, ctypes, os

    def name_of(function):
        found = (ctypes.c_void_p * 4)()
        ctypes.CDLL(None).dladdr(ctypes.cast(function, ctypes.c_void_p), found)
        return ctypes.string_at(found[0]).decode()

    builtins.name_of = name_of
    """
)


def test_loader_knows_the_real_path(sandbox: Sandbox) -> None:
    for _ in ("built", "hit"):
        loaded = sandbox.load(first=NAME_OF, value="name_of(loaded.answer)")
        assert loaded.value == str(loaded.library)


def test_real_path_opens_the_same_library(sandbox: Sandbox) -> None:
    import_ctypes = "__import__('ctypes')"
    value = f"{import_ctypes}.CDLL(loaded._name)._handle == loaded._handle"
    assert sandbox.load(value=value).value is True


@pytest.mark.parametrize(
    "builders",
    [
        (ANSWER, "vendored:VendoredBuilder", "python_answer:PythonAnswerBuilder"),
        ("python_answer:PythonAnswerBuilder", ANSWER, "vendored:VendoredBuilder"),
    ],
)
def test_libraries_with_the_same_descriptor_are_told_apart(
    sandbox: Sandbox, builders: tuple[str, ...]
) -> None:
    """A descriptor is closed after the load; glibc recognizes a loaded library by its name."""
    first, *others = builders
    parts = [other.partition(":") for other in others]
    loads = ", ".join(f"__import__('{file}').{name}().load()" for file, _, name in parts)
    value = f"[getattr(m, '__file__', None) or m._name for m in [loaded, {loads}]]"
    for _ in ("built", "hit"):
        names = sandbox.load(first, value=value).value
        assert len(set(names)) == len(builders)
        assert all(str(sandbox.cache) in name for name in names)


def test_module_that_is_loaded_twice_is_one_module(sandbox: Sandbox) -> None:
    again = (
        "__import__('op_builder.jit.load', fromlist=['load_op'])"
        ".load_op(module.PythonAnswerBuilder().plan())[0]"
    )
    value = f"[{again}.__file__ == loaded.__file__, {again}.answer()]"
    loaded = sandbox.load("python_answer:PythonAnswerBuilder", value=value)
    assert loaded.value == [True, 42], loaded.stderr

"""Dynamic symbols of shared libraries."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from op_builder.system.elf import read_library


def test_symbols_of_a_library_of_this_process() -> None:
    mapped = Path("/proc/self/maps").read_text(encoding="utf-8").split()
    libc = next(Path(word) for word in mapped if word.endswith(("libc.so.6", "libc.so")))
    found = read_library(libc)
    assert found is not None
    assert {"malloc", "printf"} <= found.defined
    assert any("ld-" in name for name in found.needed)


def test_functions_that_an_extension_module_calls_are_undefined_in_it() -> None:
    import math

    file = getattr(math, "__file__", None)
    if file is None:
        pytest.skip(f"{sys.executable} contains the module math")
    found = read_library(Path(file))
    assert found is not None
    assert "PyInit_math" in found.defined
    assert "PyFloat_FromDouble" in found.undefined


@pytest.mark.parametrize("size", [0, 1, 5, 6, 63, 64, 100, 1000, 5000])
def test_cut_or_other_file_is_not_a_library(tmp_path: Path, size: int) -> None:
    file = tmp_path / "lib.so"
    file.write_bytes(Path(sys.executable).read_bytes()[:size])
    assert read_library(file) is None
    file.write_bytes(b"INPUT(-lm)".ljust(size))
    assert read_library(file) is None
    assert read_library(tmp_path) is None
    assert read_library(tmp_path / "nothing") is None

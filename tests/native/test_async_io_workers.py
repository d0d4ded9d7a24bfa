"""The C++ tests of async_io's workers, also with sanitizers."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from native_build import CSRC, HERE, WARNINGS, run

from op_builder import AsyncIOBuilder

pytestmark = [
    pytest.mark.compiler,
    pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++"),
]


@pytest.mark.parametrize("sanitizer", ["address,undefined", "thread"])
def test_workers(tmp_path: Path, sanitizer: str) -> None:
    sources = [
        CSRC / name for name in AsyncIOBuilder().sources() if not name.endswith("async_io.cpp")
    ]
    tests = [HERE / "async_io_test.cpp", HERE / "test_main.cpp"]
    program = tmp_path / "test"
    flags = ["-std=c++17", "-O0", "-g1", *WARNINGS, f"-fsanitize={sanitizer}", "-pthread"]
    run(["g++", *flags, "-I", CSRC, "-I", HERE, *sources, *tests, "-o", program])
    assert run([program]).endswith("passed\n")

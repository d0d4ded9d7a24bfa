"""Libraries that others require: built where these are, and loaded before them."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest
from made_up_builders import MadeUpBuilder

from ascend_ops.cli.build import _Slots
from op_builder.builder import with_required
from op_builder.registry import ALL_OPS
from op_builder.setuptools_command import requested_extensions


class Base(MadeUpBuilder):
    NAME = "base"
    BUILD_VAR = "DS_BUILD_BASE"


class Middle(MadeUpBuilder):
    NAME = "middle"
    BUILD_VAR = "DS_BUILD_MIDDLE"
    REQUIRES = (Base,)


class Top(MadeUpBuilder):
    NAME = "top"
    BUILD_VAR = "DS_BUILD_TOP"
    REQUIRES = (Middle, Base)


def test_each_comes_after_what_it_requires_and_once() -> None:
    assert with_required([Top, Middle]) == [Base, Middle, Top]
    assert with_required([]) == []


def test_all_ops_are_listed_after_what_they_require() -> None:
    assert with_required(ALL_OPS) == list(ALL_OPS)


def test_an_ahead_of_time_build_by_name_includes_what_is_required_by_name_too() -> None:
    found = requested_extensions([Base, Middle, Top], {"DS_BUILD_MIDDLE": "1"})
    assert [(e.builder.NAME, e.by_name) for e in found] == [("base", True), ("middle", True)]  # type: ignore[attr-defined]


def test_builds_never_take_more_slots_than_there_are() -> None:
    slots, in_use, most = _Slots(3), 0, 0
    guard = threading.Lock()

    def build(wanted: int) -> None:
        nonlocal in_use, most
        with slots.take(wanted) as taken:
            with guard:
                in_use += taken
                most = max(most, in_use)
            time.sleep(0.01)
            with guard:
                in_use -= taken

    threads = [threading.Thread(target=build, args=(wanted,)) for wanted in (1, 2, 7, 1, 3, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (in_use, most) == (0, 3)


@pytest.mark.compiler
def test_a_family_finds_the_symbols_of_the_library_it_requires() -> None:
    code = "from op_builder import NormBuilder; print(NormBuilder().load().implementations())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("problem=expected libtorch_npu.so in this process")
    assert "rms_norm==aclnnRmsNorm" in done.stdout

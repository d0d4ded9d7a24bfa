"""Required libraries: built whenever the ops that require them are, and loaded first."""

from __future__ import annotations

import json
import subprocess
import sys
import threading

import pytest
from limits import HANG_SECONDS
from made_up_builders import MadeUpBuilder

from ascend_ops.cli import build as build_command
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


@pytest.mark.parametrize(
    ("cores", "each", "together"), [(1, 1, 1), (2, 1, 2), (3, 1, 3), (7, 2, 3)]
)
def test_concurrent_builds_run_no_more_jobs_than_requested(
    monkeypatch: pytest.MonkeyPatch, cores: int, each: int, together: int
) -> None:
    """The first builds end only when as many run as may, so they certainly meet."""
    changed = threading.Condition()
    running: list[int] = []
    most: list[int] = []

    def build(
        builder: MadeUpBuilder, again: bool, output: None, jobs: int, _: object
    ) -> dict[str, object]:
        with changed:
            running.append(jobs)
            most.append(sum(running))
            changed.notify_all()
            assert changed.wait_for(lambda: max(most) >= together * each, HANG_SECONDS)
            running.remove(jobs)
        return {"op": builder.NAME, "jobs": jobs}

    monkeypatch.setenv("MAX_JOBS", str(cores))
    monkeypatch.setattr(build_command, "_build_one", build)
    found = build_command._build([Base(), Middle(), Top()], False, None)
    assert found == [{"op": name, "jobs": each} for name in ("base", "middle", "top")]
    assert max(most) == together * each <= cores


def test_one_of_most_files_has_all_jobs_to_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    class Large(Top):
        def sources(self) -> list[str]:
            return ["one.cpp", "two.cpp", "three.cpp"]

    def build(
        builder: MadeUpBuilder, again: bool, output: None, jobs: int, _: object
    ) -> dict[str, object]:
        return {"op": builder.NAME, "jobs": jobs}

    monkeypatch.setenv("MAX_JOBS", "4")
    monkeypatch.setattr(build_command, "_build_one", build)
    found = build_command._build([Base(), Middle(), Large()], False, None)
    assert [result["jobs"] for result in found] == [4, 4, 4]
    found = build_command._build([Base(), Middle(), Top(), Large()], False, None)
    assert [result["jobs"] for result in found] == [1, 1, 1, 4]


@pytest.mark.compiler
def test_a_family_finds_the_symbols_of_the_library_it_requires() -> None:
    code = "from op_builder import NormBuilder; print(NormBuilder().load().implementations())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["problem"].startswith("NPU ops require libtorch_npu.so, which this process has")
    assert report["is_ascend950"] is False
    assert {kernel["function"] for kernel in report["kernels"]} == {""}
    found = next(kernel for kernel in report["kernels"] if kernel["op"] == "rms_norm")
    assert found["candidates"] == ["aclnnRmsNorm"]
    assert found["address"] > 0

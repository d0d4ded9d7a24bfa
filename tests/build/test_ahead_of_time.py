"""Ahead-of-time ops: what a wheel contains, where it runs, what it refuses."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from op_builder import ALL_OPS

pytestmark = pytest.mark.compiler

REPOSITORY = Path(__file__).resolve().parents[2]
LOAD = "from op_builder import CPUAdamBuilder; print(CPUAdamBuilder().load().__file__)"
# An installed wheel runs without the checkout and without a compiler.
BARE = {"PATH": "/nonexistent", "TORCH_DEVICE_BACKEND_AUTOLOAD": "0"}


def build_wheel(source: Path, folder: Path, variables: Mapping[str, str]) -> tuple[int, str]:
    """Run ``pip wheel`` on a copy of the repository; return its status and output."""
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-v"]
    done = subprocess.run(
        [*command, "--wheel-dir", str(folder), str(source)],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def run_installed(
    site: Path, program: str, variables: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run ``program`` with the unpacked wheel first on the path."""
    environment = {"PYTHONPATH": str(site), **variables}
    return subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        cwd=site,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy only the files that git tracks, without leftovers of builds."""
    copy = tmp_path_factory.mktemp("source") / "ascend_ops"
    ignore = shutil.ignore_patterns(".git", ".venv", "build", "prebuilt", "*.egg-info", ".*_cache")
    shutil.copytree(REPOSITORY, copy, ignore=ignore)
    return copy


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    status, output = build_wheel(source, folder, {"DS_BUILD_CPU_ADAM": "1"})
    assert status == 0, output
    return next(folder.glob("*.whl"))


@pytest.fixture
def site(wheel: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def manifest_of(site: Path) -> Path:
    [manifest] = (site / "op_builder" / "prebuilt").rglob("manifest.json")
    return manifest


def edit_recipe(site: Path, name: str, value: object) -> None:
    manifest = manifest_of(site)
    content = json.loads(manifest.read_text())
    content["recipe"][name] = value
    manifest.write_text(json.dumps(content))


def test_the_wheel_holds_the_op_and_is_bound_to_no_python(wheel: Path) -> None:
    assert wheel.name.split("-")[2:4] == ["py3", "none"]
    assert not wheel.name.endswith("any.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert sum(name.endswith("cpu_adam.so") for name in names) == 1
    assert any(name == "op_builder/csrc/cpu/adam/adam.cpp" for name in names)
    assert any(name == "ascend_ops/benchmarks/__init__.py" for name in names)
    modules = {Path(name).name for name in names if name.startswith("ascend_ops/emulator/cmake/")}
    assert {"ascendc.cmake", "CMakeASCCompiler.cmake.in"} <= modules
    assert not any(name.startswith(("tests/", "op_builder/prebuilt/staging")) for name in names)


def test_upstream_21_it_runs_without_a_compiler_and_with_jit_forbidden(site: Path) -> None:
    """flashinfer #2093, #1828: ops installed ahead of time still compiled at run time."""
    done = run_installed(site, LOAD, {**BARE, "ASCEND_OPS_JIT": "0"})
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(site / "op_builder" / "prebuilt")


def test_it_runs_from_a_place_that_cannot_be_written(site: Path, tmp_path: Path) -> None:
    variables = {**BARE, "ASCEND_OPS_JIT": "0", "HOME": "/nonexistent", "TMPDIR": str(tmp_path)}
    done = run_installed(site, LOAD, variables)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("part", "value", "words"),
    [
        ("bound_to", {"torch": "stable ABI, 9.9 or newer"}, ["9.9", "2.10"]),
        ("target", "linux-riscv64", ["no build of it exists"]),
    ],
)
def test_a_stamp_that_does_not_match_is_refused_with_both_versions(
    site: Path, part: str, value: object, words: list[str]
) -> None:
    if part == "target":
        folder = next((site / "op_builder" / "prebuilt").glob("linux-*"))
        folder.rename(folder.with_name(str(value)))
    else:
        edit_recipe(site, part, value)
    done = run_installed(site, LOAD, {**BARE, "ASCEND_OPS_JIT": "0"})
    assert done.returncode != 0
    assert "JitDisabledError" in done.stderr
    for word in (*words, "ascend-ops build cpu_adam", "DS_BUILD_CPU_ADAM=1"):
        assert word in done.stderr


def test_an_op_for_a_cpu_with_more_instructions_is_refused(site: Path) -> None:
    manifest = manifest_of(site)
    content = json.loads(manifest.read_text())
    content["cpu_features"] = ["an_instruction_set_of_2040"]
    manifest.write_text(json.dumps(content))
    done = run_installed(site, LOAD, {**BARE, "ASCEND_OPS_JIT": "0"})
    assert "an_instruction_set_of_2040" in done.stderr


def test_jit_takes_over_if_it_is_allowed(site: Path, tmp_path: Path) -> None:
    edit_recipe(site, "bound_to", {"torch": "stable ABI, 9.9 or newer"})
    variables = {
        **BARE,
        "PATH": os.environ["PATH"],
        "ASCEND_OPS_CACHE_DIR": str(tmp_path / "cache"),
        "HOME": str(tmp_path),
    }
    done = run_installed(site, LOAD, variables)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(tmp_path / "cache")


def test_the_sources_in_the_package_and_the_op_must_agree(site: Path) -> None:
    kernel = site / "op_builder" / "csrc" / "cpu" / "adam" / "formula.h"
    kernel.write_text(kernel.read_text() + "// edited\n")
    done = run_installed(site, LOAD, {**BARE, "ASCEND_OPS_JIT": "0"})
    assert "formula.h" in done.stderr
    assert "changed" in done.stderr


def test_upstream_19_an_impossible_op_requested_by_name_fails_the_install(
    source: Path, tmp_path: Path
) -> None:
    """DeepSpeed #1343, #8480, #8484, #6920: it was skipped silently."""
    variables = {"DS_BUILD_CPU_ADAM": "1", "CXX": "/nonexistent/g++"}
    status, output = build_wheel(source, tmp_path, variables)
    assert status != 0
    assert "/nonexistent/g++" in output
    assert "apt-get install g++" in output
    assert "dnf install gcc-c++" in output
    assert not list(tmp_path.glob("*.whl"))


def test_switched_off_nothing_is_built_and_the_wheel_is_for_any_machine(
    source: Path, tmp_path: Path
) -> None:
    switches = {cls.BUILD_VAR: "0" for cls in ALL_OPS}
    variables = {"DS_BUILD_OPS": "1", "CXX": "/nonexistent/g++", **switches}
    status, output = build_wheel(source, tmp_path, variables)
    assert status == 0, output
    [wheel] = tmp_path.glob("*.whl")
    assert wheel.name.endswith("py3-none-any.whl")
    assert not any(name.endswith(".so") for name in zipfile.ZipFile(wheel).namelist())

"""``DS_BUILD_EMULATOR=1`` makes a wheel that emulates on a machine without a compiler."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from op_builder.ops.emulator import EMULATOR_LIBRARIES
from op_builder.toolchain.torch_install import find_torch_npu

pytestmark = pytest.mark.skipif(find_torch_npu() is None, reason="torch_npu is not installed")

REPOSITORY = Path(__file__).resolve().parents[2]
PROGRAM = """
from ascend_ops import emulator
emulator.activate()
import torch, torch_npu, ascend_ops
print(ascend_ops.__file__, (torch.ones(3).npu() + 1).cpu().tolist())
"""


def run(*command: str, cwd: Path, **variables: str) -> str:
    done = subprocess.run(
        command, cwd=cwd, env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.long
def test_the_wheel_emulates_without_a_compiler_and_with_jit_forbidden(tmp_path: Path) -> None:
    source, site = tmp_path / "source", tmp_path / "site"
    ignore = shutil.ignore_patterns(".git", ".venv", "build", "prebuilt", "*.egg-info", ".*_cache")
    shutil.copytree(REPOSITORY, source, ignore=ignore)
    wheels = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
    environ = {**os.environ, "DS_BUILD_EMULATOR": "1", "TORCH_DEVICE_BACKEND_AUTOLOAD": "0"}
    run(*wheels, "--wheel-dir", str(tmp_path), str(source), cwd=tmp_path, **environ)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as archive:
        archive.extractall(site)
    shipped = {path.stem for path in (site / "op_builder" / "prebuilt").rglob("*.so")}
    assert shipped == {cls.NAME for cls in EMULATOR_LIBRARIES}
    bare = {
        "PATH": "/nonexistent",
        "HOME": str(tmp_path / "home"),
        "PYTHONPATH": str(site),
        "ASCEND_OPS_JIT": "0",
        "TORCH_DEVICE_BACKEND_AUTOLOAD": "0",
    }
    output = run(sys.executable, "-c", PROGRAM, cwd=site, **bare)
    assert output.split()[-3:] == ["[2.0,", "2.0,", "2.0]"]
    assert str(site) in output

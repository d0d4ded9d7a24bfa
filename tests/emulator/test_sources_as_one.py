"""Files that are compiled together do not collide, however the next new file shifts the groups."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from op_builder.ops.emulator import EMULATOR_LIBRARIES, EmulatorLibrary
from op_builder.toolchain.torch_install import find_torch_npu

pytestmark = pytest.mark.skipif(find_torch_npu() is None, reason="torch_npu is not installed")


@pytest.mark.parametrize("cls", [cls for cls in EMULATOR_LIBRARIES if len(cls().sources()) > 1])
def test_all_sources_compile_as_one(cls: type[EmulatorLibrary]) -> None:
    builder = cls()
    spec = builder.spec(builder.toolchain())
    folders = [(folder, Path(spec.resolve(folder)).resolve()) for folder in spec.include_dirs]
    includes = [
        f"-I{path}" if folder.startswith("source") else f"-isystem{path}"
        for folder, path in folders
    ]
    text = "".join(f'#include "{source}"\n' for source in builder.sources())
    command = ["g++", "-fsyntax-only", "-Werror", *spec.cxx_flags, *includes, "-x", "c++", "-"]
    done = subprocess.run(
        command,
        input=text,
        cwd=builder.source_root(),
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]

"""One precompiled kernel_operator.h serves kernels for all kinds of cores."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ascend_ops.emulator.bisheng.driver import main

pytestmark = [
    pytest.mark.compiler,
    pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++"),
]

HEADER = """
#pragma once
#define __global__
#define __aicore__
#define KERNEL_TASK_TYPE_DEFAULT(type) (void)0
"""
KERNEL = """
__global__ __aicore__ void kernel() {{
    KERNEL_TASK_TYPE_DEFAULT({type});
    static_assert(AICORE_CORES == {cores} && OWN == 1, "");
}}
"""
KINDS = {"KERNEL_TYPE_AIV_ONLY": 0, "KERNEL_TYPE_AIC_ONLY": 1, "KERNEL_TYPE_MIX_AIC_1_2": 2}


@pytest.fixture
def cann(tmp_path: Path) -> Path:
    """A folder with headers as small as can be."""
    root = tmp_path / "cann"
    (root / "include" / "ascendc").mkdir(parents=True)
    (root / "include" / "kernel_operator.h").write_text(HEADER)
    (root / "include" / "ascendc" / "compiled_for.h").write_text("")
    return root


def headers_after(cann: Path, type_: str, *flags: str) -> int:
    """Compile a kernel of the type; return how many headers were compiled until then."""
    source = cann.parent / "kernel.asc"
    source.write_text(KERNEL.format(type=type_, cores=KINDS[type_]))
    output = str(source.with_suffix(".o"))
    assert main(cann, ["-x", "asc", *flags, "-DOWN=1", "-c", str(source), "-o", output]) == 0
    return len(list((cann / "precompiled").glob("*/*.gch")))


def test_kernels_for_other_cores_share_the_header(
    cann: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    found = [headers_after(cann, kind, "--npu-arch=dav-2201", "-O2") for kind in KINDS]
    assert found == [1, 1, 1]
    off = ("--npu-arch=dav-2201", "-O2", "--cce-auto-sync=off")
    assert headers_after(cann, "KERNEL_TYPE_AIV_ONLY", *off) == 1
    assert capfd.readouterr().err == ""  # -Winvalid-pch would tell that GCC did not use it


def test_what_changes_the_header_gives_it_another(cann: Path) -> None:
    kind = "KERNEL_TYPE_AIV_ONLY"
    assert headers_after(cann, kind, "--npu-arch=dav-2201", "-O2") == 1
    assert headers_after(cann, kind, "--npu-arch=dav-2201", "-O3") == 2
    assert headers_after(cann, kind, "--npu-arch=dav-2002", "-O3") == 3
    assert headers_after(cann, kind, "--npu-arch=dav-2002", "-O3", "-DNDEBUG") == 4

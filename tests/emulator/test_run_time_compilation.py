"""Kernels that a program compiles at run time with aclrtc and launches with aclrtKernelArgs*."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from emulated_process import shell

from op_builder.toolchain.torch_install import find_torch_npu

pytestmark = pytest.mark.skipif(find_torch_npu() is None, reason="torch_npu is not installed")
SOURCE = Path(__file__).resolve().parent / "kernels" / "run_time.cpp"


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("rtc")
    command = (
        f". $ASCEND_HOME_PATH/set_env.sh && g++ -std=c++17 {SOURCE} -o program"
        " -I$ASCEND_HOME_PATH/include -L$ASCEND_HOME_PATH/lib64 -lascendcl -lacl_rtc && ./program"
    )
    done = shell(command, folder)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


@pytest.mark.parametrize(
    "line",
    [
        "create 0",
        "name 0",
        "compile 0",
        "lowered 0",
        "other name 176007",
        "late name 176005",
        "destroy 0",
        "destroyed 176000",
        "before 176001",
        "mistake 176003",
    ],
)
def test_a_text_is_compiled(output: str, line: str) -> None:
    assert re.search(rf"^{line}\b", output, re.MULTILINE), output


def test_the_log_of_a_mistake_names_its_line(output: str) -> None:
    assert re.search(r"broken\.asc:3:\d+: error: .no_such_name. was not declared", output)


@pytest.mark.parametrize(
    ("way", "values"),
    [
        ("list", "124.5 865.5"),
        ("updated", "124.5 866"),  # from element 16 on
        ("arrays", "124.5 -764"),
        ("placeholders", "1024 1765"),
    ],
)
def test_the_kernel_is_launched_with_its_arguments(output: str, way: str, values: str) -> None:
    assert f"{way} 0 \n{values}\n" in output


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("too small", "parameter 1 must have 8 bytes, got 4"),
        ("too few", "the kernel has 5 parameters, and 3 were appended"),
        ("too many", "the kernel has 5 parameters, and this would be one more"),
        ("no data", "a placeholder has no data; call aclrtKernelArgsGetPlaceHolderBuffer"),
        ("not a placeholder", "paramHandle must be a handle of aclrtKernelArgsAppendPlaceHolder"),
        ("not final", "call aclrtKernelArgsFinalize after the last change"),
        ("outside", "placeholder 0 must lie in the arguments of"),
        ("unloaded", "argsHandle must be a handle of aclrtKernelArgsInit"),
    ],
)
def test_a_wrong_use_is_refused(output: str, case: str, message: str) -> None:
    assert re.search(rf"^{case} [1-9]\d* .*{re.escape(message)}", output, re.MULTILINE), output

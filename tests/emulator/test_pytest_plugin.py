"""The pytest plugin in a project with marked and unmarked tests."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from emulated_process import outside_environment
from limits import HANG_SECONDS

from op_builder.toolchain.torch_install import find_torch_npu

pytestmark = pytest.mark.skipif(find_torch_npu() is None, reason="torch_npu is not installed")

BOTH_KINDS = """
import os
import pytest
import torch  # imports torch_npu as well


def backward(device):
    x = torch.ones(3, device=device, requires_grad=True)
    (x * x).sum().backward()
    return x.grad.sum().item()


@pytest.fixture(scope="session")
def shared():
    yield [os.getpid()]
    print("shared ends in", os.getpid())


def test_plain_first(shared):
    assert backward("cpu") == 6


@pytest.mark.npu
def test_marked(shared):
    assert shared == [os.getpid()]
    assert backward("npu") == 6


def test_plain_last(shared):
    assert shared == [os.getpid()]
    assert backward("cpu") == 6


@pytest.mark.npu
def test_marked_last():
    assert backward("npu") == 6
"""

DYING = """
import ctypes, os, signal, sys
import pytest
npu = pytest.mark.npu


@npu
def test_touches_device_memory():
    import torch
    x = torch.ones(4).npu()
    torch.npu.synchronize()
    ctypes.string_at(x.data_ptr(), 4)


@npu
def test_passes():
    pass


@npu
def test_fails():
    assert 1 + 1 == 3, "as it should"


@npu
def test_exits():
    os._exit(7)


@pytest.mark.npu(timeout=1)
def test_takes_long():
    while True:
        signal.pause()


@npu
def test_is_skipped():
    pytest.skip("not today")
"""


def run_pytest(
    folder: Path, content: str, *arguments: str, program: str = "-m pytest", **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run pytest on one file, in an environment without an NPU."""
    (folder / "test_it.py").write_text(textwrap.dedent(content))
    return subprocess.run(
        [sys.executable, *program.split(" ", 1), "-p", "no:cacheprovider", "-rA", *arguments],
        cwd=folder,
        env=outside_environment(**{"TORCH_DEVICE_BACKEND_AUTOLOAD": "1", **variables}),
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )


def test_both_kinds_mix_in_any_order_and_may_use_autograd(tmp_path):
    done = run_pytest(tmp_path, BOTH_KINDS, "--npu=emulated")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert "4 passed" in done.stdout
    assert "npu: EMULATED, computed on the CPU" in done.stdout


def test_a_module_may_end_with_a_marked_test_and_another_follow(tmp_path):
    (tmp_path / "test_a_first.py").write_text(textwrap.dedent(BOTH_KINDS), encoding="utf-8")
    done = run_pytest(tmp_path, "def test_more(): pass", "--npu=emulated")
    assert done.returncode == 0, done.stdout
    assert "5 passed" in done.stdout


def test_a_test_whose_process_dies_fails_with_the_reason(tmp_path):
    done = run_pytest(tmp_path, DYING, "--npu=emulated")
    assert "4 failed, 1 passed, 1 skipped" in done.stdout, done.stdout[-3000:] + done.stderr
    sections = re.split(r"^_+ (test_\w+) _+$", done.stdout, flags=re.MULTILINE)
    reports = dict(zip(sections[1::2], sections[2::2], strict=True))
    assert "the test's process was killed by SIGSEGV" in reports["test_touches_device_memory"]
    assert "host access to device memory at 0x" in reports["test_touches_device_memory"]
    assert "AssertionError: as it should" in reports["test_fails"]
    assert "the test's process exited with status 7" in reports["test_exits"]
    assert "the test's process did not end within 1 s" in reports["test_takes_long"]
    assert "not today" in done.stdout


def test_none_skips_the_marked_tests_with_advice(tmp_path):
    done = run_pytest(tmp_path, DYING, "--npu=none")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 skipped" in done.stdout
    assert "needs an NPU: use --npu=emulated or --npu=real" in done.stdout


def test_without_torch_npu_it_is_an_error_of_one_line(tmp_path):
    program = (
        "-c import pytest; from ascend_ops.emulator import cann_folder;"
        "cann_folder.find_torch_npu = lambda: None; raise SystemExit(pytest.main())"
    )
    done = run_pytest(tmp_path, DYING, "--npu=emulated", program=program)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "--npu=emulated: " in done.stderr
    assert "torch_npu is not installed" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


def test_a_missing_real_npu_is_an_error_of_one_line(tmp_path):
    done = run_pytest(tmp_path, DYING, "--npu=real", TORCH_DEVICE_BACKEND_AUTOLOAD="0")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "--npu=real: torch_npu cannot be imported: " in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


def test_it_may_be_named_on_the_command_line_even_if_it_is_installed():
    """pytest refuses one module as two plugins, but accepts one name twice."""
    project = Path(__file__).resolve().parents[2] / "pyproject.toml"
    (entry,) = re.findall(
        r'pytest11\]\n"(.+)" = "ascend_ops.emulator.pytest_plugin"', project.read_text()
    )
    assert entry == "ascend_ops.emulator.pytest_plugin"


def test_the_report_of_a_missing_function_names_the_file_to_extend(tmp_path):
    done = run_pytest(
        tmp_path,
        """
        import pytest

        @pytest.mark.npu
        def test_it():
            import torch, torch_npu
            x = torch.zeros(65536).npu()
            out = [torch.zeros(256, dtype=torch.int32).npu(), *torch.zeros(3, 65536).npu().unbind()]
            torch_npu.npu_hans_encode(x, out=out)
        """,
        "--npu=emulated",
    )
    assert done.returncode == 1
    assert "aclnnHansEncode is not emulated. To add it, write a row" in done.stdout

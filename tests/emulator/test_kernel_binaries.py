"""Binaries of kernels, which bisheng and ld.lld make and AscendCL loads and launches."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from emulated_process import run

from op_builder.toolchain.torch_install import find_torch_npu

pytestmark = pytest.mark.skipif(find_torch_npu() is None, reason="torch_npu is not installed")
KERNELS = Path(__file__).resolve().parent / "kernels"

PROGRAM = """
import ctypes, json, os, struct, subprocess, sys
import torch, torch_npu
from ctypes import byref, c_char_p, c_uint64, c_void_p

folder = {folder!r}
for command in (
    ["bisheng", "-O2", "--npu-arch=dav-2201", "--cce-aicore-only", {source!r}, "-o", "k.rel.o"],
    ["ld.lld", "-m", "aicorelinux", "-Ttext", "0", "k.rel.o", "-o", "k.o"],
):
    subprocess.run(command, cwd=folder, check=True)

acl = ctypes.CDLL("libascendcl.so")
acl.aclGetRecentErrMsg.restype = c_char_p
results = {{}}

def message(code):
    assert code != 0
    return acl.aclGetRecentErrMsg().decode()

def loaded(path):
    binary = c_void_p()
    assert acl.aclrtBinaryLoadFromFile(path.encode(), None, byref(binary)) == 0, message(1)
    return binary

def function(binary, name):
    found = c_void_p()
    assert acl.aclrtBinaryGetFunction(binary, name.encode(), byref(found)) == 0, message(1)
    return found

x = torch.arange(1024, dtype=torch.float32).npu()

class Option(ctypes.Structure):  # aclrtLaunchKernelAttr
    _fields_ = [("id", ctypes.c_uint32), ("value", ctypes.c_uint32 * 4)]

class Options(ctypes.Structure):  # aclrtLaunchKernelCfg
    _fields_ = [("attrs", ctypes.POINTER(Option)), ("count", ctypes.c_size_t)]

def with_option(handle, number, value):
    options = Options(ctypes.pointer(Option(number, (value, 0, 0, 0))), 1)
    z = torch.zeros_like(x)
    arguments = struct.pack("<QQfI", x.data_ptr(), z.data_ptr(), 2.0, 256)
    stream = c_void_p(torch.npu.current_stream().npu_stream)
    code = acl.aclrtLaunchKernelV2(
        handle, 4, arguments, ctypes.c_size_t(len(arguments)), byref(options), stream)
    return "launched" if code == 0 and torch.equal(z.cpu(), 2 * x.cpu()) else message(code)

def launched(handle, factor, with_host_args=True):
    z = torch.zeros_like(x)
    packed = struct.pack("<QQfI", x.data_ptr(), z.data_ptr(), factor, 256)
    arguments = ctypes.create_string_buffer(packed, len(packed))
    stream = c_void_p(torch.npu.current_stream().npu_stream)
    if with_host_args:
        code = acl.aclrtLaunchKernelWithHostArgs(
            handle, 4, stream, None, arguments, ctypes.c_size_t(len(packed)), None,
            ctypes.c_size_t(0))
    else:
        code = acl.aclrtLaunchKernel(handle, 4, arguments, ctypes.c_size_t(len(packed)), stream)
    assert code == 0, message(code)
    return z.cpu()

plain = torch.arange(1024, dtype=torch.float32)
binary = loaded(os.path.join(folder, "k.o"))
handle = function(binary, "scaled")
results["host_args"] = torch.equal(launched(handle, 3.0), 3 * plain)
results["device_args"] = torch.equal(launched(handle, 0.5, False), 0.5 * plain)
keyed = c_void_p()
assert acl.aclrtBinaryGetFunctionByEntry(binary, c_uint64(2), byref(keyed)) == 0
results["by_entry"] = torch.equal(launched(keyed, 3.0), 3 * plain + 1)
results["by_name_and_key"] = torch.equal(launched(function(binary, "scaled_2"), 2.0), 2 * plain + 1)
results["mix_suffix"] = function(binary, "scaled_mix_aic").value == handle.value
data = open(os.path.join(folder, "k.o"), "rb").read()
second = c_void_p()
assert acl.aclrtBinaryLoadFromData(data, ctypes.c_size_t(len(data)), None, byref(second)) == 0
of_second = function(second, "scaled")
results["from_data"] = torch.equal(launched(of_second, 4.0), 4 * plain)

for name, number, value in [
    ("schedule", 1, 1), ("odd_schedule", 1, 7), ("no_dynamic_ub", 2, 0), ("dynamic_ub", 2, 4096),
    ("no_offset", 4, 0), ("offset", 4, 3), ("timeout", 7, 5), ("unknown_option", 99, 0),
]:
    results[name] = with_option(handle, number, value)
missing = c_void_p()
results["no_such_kernel"] = message(acl.aclrtBinaryGetFunction(binary, b"other", byref(missing)))
short = ctypes.create_string_buffer(8)
results["too_few_bytes"] = message(
    acl.aclrtLaunchKernel(handle, 1, short, ctypes.c_size_t(8), None))
other = os.path.join(folder, "device.o")
open(other, "wb").write(b"ELF for a device")
results["not_a_binary"] = message(
    acl.aclrtBinaryLoadFromFile(other.encode(), None, byref(missing)))
results["no_function"] = message(
    acl.aclrtLaunchKernel(c_void_p(x.data_ptr()), 1, short, ctypes.c_size_t(8), None))
assert acl.aclrtBinaryUnLoad(second) == 0
results["function_of_unloaded"] = message(
    acl.aclrtLaunchKernel(of_second, 1, short, ctypes.c_size_t(8), None))
results["no_image"] = message(acl.aclrtDestroyBinary(c_void_p(x.data_ptr())))
results["unloaded_twice"] = message(acl.aclrtBinaryUnLoad(second))
print(json.dumps(results))
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    folder = tmp_path_factory.mktemp("binary")
    done = run(PROGRAM.format(folder=str(folder), source=str(KERNELS / "binary.asc")))
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize(
    "case",
    ["host_args", "device_args", "by_entry", "by_name_and_key", "mix_suffix", "from_data"],
)
def test_a_loaded_kernel_runs(results: dict[str, object], case: str) -> None:
    assert results[case] is True


@pytest.mark.parametrize("case", ["schedule", "no_dynamic_ub", "no_offset", "timeout"])
def test_an_option_that_cannot_change_the_result_is_accepted(
    results: dict[str, object], case: str
) -> None:
    assert results[case] == "launched"


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("no_such_kernel", "the binary has no kernel other; it has scaled"),
        ("too_few_bytes", "kernel scaled: 8 bytes are fewer than its arguments take"),
        ("not_a_binary", "is not a binary that bisheng of the emulated CANN has linked"),
        ("no_function", "the function must be a handle of aclrtBinaryGetFunction"),
        ("function_of_unloaded", "and its binary loaded"),
        ("odd_schedule", "schemMode must be 0 or 1, got 7"),
        ("dynamic_ub", "a dynUBufSize other than 0 is not emulated"),
        ("offset", "a blockDimOffset other than 0 is not emulated"),
        ("unknown_option", "the launch attribute 99 is not emulated"),
        ("no_image", "the image must be a result of aclrtCreateBinary"),
        ("unloaded_twice", "the binary must be a handle of aclrtBinaryLoad"),
    ],
)
def test_a_wrong_use_is_refused(results: dict[str, object], case: str, message: str) -> None:
    assert message in str(results[case])

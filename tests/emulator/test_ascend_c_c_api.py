"""Kernels of the C API (``c_api/asc_simd.h``) compute on the emulated AI core."""

from __future__ import annotations

import json

import pytest
from emulated_process import run
from kernel_library import library_of
from kernel_results import results_of

from op_builder.toolchain.torch_install import find_torch_npu

pytestmark = pytest.mark.skipif(find_torch_npu() is None, reason="torch_npu is not installed")

# x, y and zeros of 256 floats; what each kernel leaves in z.
EXPECTED = {
    "waits": "z = ((x.double() + y.double()) / 2).float()",
    "flags": "m = torch.arange(256) % 64 < 32; z = torch.where(m, torch.maximum(x, y), y)",
    "functions": "v = x.double().floor().abs(); z = (v * v + 3).sqrt().float(); z[249:] = 0",
    "mask_behind_a_count": "z = x.double().clone(); z[:64] += 1; z = (2 * z).float()",
    "scalars": "z = torch.arange(256) + 1.0",
}
MISTAKES = {
    "no_wait": "[hazard] read after write: Add on PIPE_V does not wait for DataCopy on PIPE_MTE2",
    "too_large": "second of 32 bytes: UB would hold 196640 bytes, and has 196608",
    "half_a_block": "[count] DataCopy: 16 elements are 16 bytes, and a device moves whole blocks",
}


_LAUNCH = """
acl = ctypes.CDLL("libascendcl.so")
acl.aclGetRecentErrMsg.restype = ctypes.c_char_p
tensors = [torch.zeros(256).npu() for _ in range(3)]
found = {}
for name in json.loads(NAMES):
    pointers = [ctypes.c_void_p(tensor.data_ptr()) for tensor in tensors]
    assert library.run(name.encode(), stream, *pointers) == 0, name
    code = acl.aclrtSynchronizeStream(stream)
    found[name] = f"{code} {(acl.aclGetRecentErrMsg() or b'').decode()}"
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def results() -> dict[str, object]:
    return results_of("c_api", EXPECTED, rtol=1e-6)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_kernel_gives_the_documented_values(results: dict[str, object], name: str) -> None:
    assert results[name] == []


@pytest.fixture(scope="module")
def findings() -> dict[str, str]:
    names = json.dumps([*MISTAKES, "waits"])
    done = run(library_of("c_api") + f"NAMES = {names!r}" + _LAUNCH)
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_reported(findings: dict[str, str], name: str) -> None:
    assert findings[name].startswith("507015 ")
    assert MISTAKES[name] in findings[name]


def test_a_right_kernel_has_no_finding(findings: dict[str, str]) -> None:
    assert findings["waits"].startswith("0 ")

"""Matmul objects of kernels give the products that torch gives, whatever core runs them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from emulated_process import run
from kernel_library import library_of

from op_builder.toolchain.torch_install import find_torch_npu

pytestmark = pytest.mark.skipif(find_torch_npu() is None, reason="torch_npu is not installed")

PROGRAM = """
torch.manual_seed(5)
results = {}

def launch(name, a, b, bias, c):
    device = [tensor.npu() for tensor in (a, b, bias, c)]
    pointers = [ctypes.c_void_p(tensor.data_ptr()) for tensor in device]
    code = library.run(name.encode(), stream, *pointers, a.shape[0], b.shape[0], a.shape[1])
    assert code == 0, (name, code)
    return device[3].cpu()

def worst(found, expected):
    return (found.float() - expected.float()).abs().max().item()

m, n, k = 70, 50, 96
a, b = torch.randn(m, k).half(), torch.randn(n, k).half()
bias = torch.randn(n)
product = a.float() @ b.float().T
zeros = torch.zeros(m, n)
results["on_vector_cores"] = worst(launch("on_vector_cores", a, b, bias, zeros), product + bias)
results["by_blocks"] = worst(launch("by_blocks", a, b, bias, zeros + 1), product + 1)
results["in_a_batch"] = worst(launch("in_a_batch", a, b, bias, zeros), product)
x, y = (torch.randint(-9, 9, (size, k), dtype=torch.int8) for size in (m, n))
exact = (x.float() @ y.float().T * 0.125).half()
results["quantized"] = worst(launch("quantized", x, y, bias, zeros.half()), exact)
tiling = (ctypes.c_int32 * 64)()
assert library.make_tiling(512, 512, 128, 2, tiling) == 0
results["two_cores"] = list(tiling[:1]) + list(tiling[5:8])
print(json.dumps(results))
"""


@pytest.fixture(scope="module")
def errors() -> dict[str, Any]:
    done = run(library_of("matmul_object") + PROGRAM)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("name", ["on_vector_cores", "by_blocks", "in_a_batch"])
def test_a_product_is_torchs(errors: dict[str, Any], name: str) -> None:
    assert errors[name] < 1e-4


def test_a_quantized_product_is_exact(errors: dict[str, Any]) -> None:
    assert errors["quantized"] == 0


def test_two_cores_divide_the_rows(errors: dict[str, Any]) -> None:
    cores, m, n, k = errors["two_cores"]
    assert (cores, m, n, k) == (2, 256, 512, 128)

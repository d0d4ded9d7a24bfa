"""``compile_kernel``: source text in, a callable on tensors out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from emulated_process import run

from ascend_ops.kernels.signature import parameters_of
from op_builder.toolchain.torch_install import find_torch_npu

KERNELS = Path(__file__).resolve().parent / "kernels"
SCALE = (KERNELS / "scale.asc").read_text(encoding="utf-8")
needs_torch_npu = pytest.mark.skipif(find_torch_npu() is None, reason="torch_npu is not installed")

PROGRAM = """
import json, torch, torch_npu
from pathlib import Path
from ascend_ops import compile_kernel

source = Path({source!r}).read_text()
scale = compile_kernel(source, name="scale")
assert compile_kernel(source, name="scale") is scale
x = torch.randn(5, 1001).npu()
z = torch.empty_like(x)
scale(x, z, 2.5, x.numel())
results = {{"equal": torch.equal(z, x * 2.5)}}
z.zero_()
scale(x, z, 2.5, x.numel(), blocks=1)
results["one block"] = torch.equal(z, x * 2.5)

def refused(name, *arguments, **options):
    try:
        scale(*arguments, **options)
        results[name] = "accepted"
    except (TypeError, ValueError) as error:
        results[name] = str(error)

refused("count", x, z, 2.5)
refused("host", x.cpu(), z, 2.5, 3)
refused("strided", x.T, z, 2.5, 3)
refused("number", x, z, "2.5", 3)
refused("tensor", 3, z, 2.5, 3)
refused("negative", x, z, 2.5, -3)
refused("blocks", x, z, 2.5, 3, blocks=0)
try:
    compile_kernel(source.replace("Muls(", "Mulz("), name="scale")
except Exception as error:
    results["build"] = f"{{type(error).__name__}} {{error}}"
torch.npu.synchronize()
print(json.dumps(results))
"""


@pytest.fixture(scope="module")
def results() -> dict[str, object]:
    done = run(PROGRAM.format(source=str(KERNELS / "scale.asc")))
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


@needs_torch_npu
@pytest.mark.parametrize("name", ["equal", "one block"])
def test_a_kernel_computes_on_tensors(results: dict[str, object], name: str) -> None:
    assert results[name] is True


@needs_torch_npu
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("count", "scale must be called with 4 arguments (x, z, factor, count), got 3"),
        ("host", "x must be on an NPU, got a tensor on cpu"),
        ("strided", "x must be contiguous: pass x.contiguous()"),
        ("number", "factor must be a number, got str"),
        ("tensor", "x must be a tensor, got int"),
        ("negative", "count must fit into uint32_t, got -3"),
        ("blocks", "blocks must be positive, got 0"),
    ],
)
def test_a_wrong_argument_is_refused(results: dict[str, object], name: str, message: str) -> None:
    assert results[name] == message


@needs_torch_npu
def test_the_compilers_message_is_the_text_of_the_error(results: dict[str, object]) -> None:
    assert str(results["build"]).startswith("BuildError ")
    assert "scale.asc:39" in str(results["build"])
    assert "Mulz" in str(results["build"])


def test_parameters_are_read_from_the_source() -> None:
    found = parameters_of(SCALE, "scale")
    assert [(p.name, p.c_type, p.dtype) for p in found] == [
        ("x", "uint8_t*", ""),
        ("z", "uint8_t*", ""),
        ("factor", "float", ""),
        ("count", "uint32_t", ""),
    ]


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ("const __gm__ half *__restrict__ x", ("x", "half*", "float16")),
        ("__gm__ Tiling* tiling", ("tiling", "Tiling*", "")),
        ("const unsigned int n", ("n", "unsigned int", "")),
        ("std::int64_t n", ("n", "int64_t", "")),
    ],
)
def test_the_forms_of_a_parameter(declared: str, expected: tuple[str, str, str]) -> None:
    (found,) = parameters_of(f"__global__ __aicore__ void k({declared}) {{}}", "k")
    assert (found.name, found.c_type, found.dtype) == expected


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("__global__ __aicore__ void other(GM_ADDR x) {}", "one of the kernels .* other, got 'k'"),
        ("void k(GM_ADDR x) {}", "which has none, got 'k'"),
        ("__global__ __aicore__ void k(Tiling t) {}", "got 'Tiling t': put a structure into"),
    ],
)
def test_a_kernel_that_cannot_be_called_is_refused(source: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parameters_of(source, "k")

"""``compile_kernel``: source text in, a callable on tensors out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from emulated_process import run

from ascend_ops.kernels.signature import Parameter, signature_of
from op_builder.toolchain.torch_install import find_torch_npu

KERNELS = Path(__file__).resolve().parent / "kernels"
SCALE = (KERNELS / "scale.asc").read_text(encoding="utf-8")
SOURCES = {"source": "scale", "options": "options"}
needs_torch_npu = pytest.mark.skipif(find_torch_npu() is None, reason="torch_npu is not installed")

PROGRAM = """
import dataclasses, json, torch, torch_npu
from pathlib import Path
from ascend_ops import compile_kernel

options = Path({options!r}).read_text()

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

x = torch.randn(7, 300).npu()
def compiled(name, **options_of):
    return compile_kernel(options, name=name, constants={{"TILE": 64}}, **options_of)

by_value = compiled("by_value")
tiling = {{"rows": 7, "columns": 299, "factors": [2.0, 3], "offset": 2}}
wanted = (x.flatten()[2 : 2 + 7 * 299] * 6).view(7, 299)
z = torch.empty_like(wanted)
by_value(x, z, tiling)
results["structure"] = torch.equal(z, wanted)
Tiling = dataclasses.make_dataclass("Tiling", tiling)
z.zero_()
by_value(x, z, Tiling(**tiling), blocks=3)
results["dataclass"] = torch.equal(z, wanted)
z.zero_()
compiled("by_pointer")(x, z, tiling)
results["structure in memory"] = torch.equal(z, wanted)
half, result = x.half(), torch.empty_like(x.half())
compiled("typed<half, 5>")(half, result, half.numel(), blocks=1)
results["template"] = torch.equal(result, half * 5)
result = torch.empty_like(x)
compiled("two_steps")(x, result, x.numel(), blocks=1, workspace=4 * x.numel())
results["workspace"] = torch.equal(result, x * 4)
again = torch.empty_like(x)
stream = torch.npu.Stream()
stream.wait_stream(torch.npu.current_stream())
with torch.npu.stream(stream):
    doubled = x * 2
    compiled("typed<float, 3>")(doubled, again, x.numel(), blocks=1)
    again += 1
stream.synchronize()
results["stream"] = torch.equal(again, x * 6 + 1)
x, z = torch.randn(5, 1001).npu(), torch.empty(5, 1001).npu()

def refused(name, *arguments, kernel=scale, **options):
    try:
        kernel(*arguments, **options)
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
refused("gradient", torch.ones(3, device="npu", requires_grad=True), z, 2.5, 3)
refused("no tensor", kernel=compile_kernel("__global__ __aicore__ void k(int n) {{}}", name="k"),
        *[3])
refused("dtype", x, z.half(), 2.5, 3, kernel=compile_kernel(
    source, name="scale", arguments={{"z": torch.float32}}))
refused("no workspace", x, z, 2.5, 3, workspace=8)
refused("members", x, z, {{"rows": 1, "columns": 2, "factors": [1, 2]}}, kernel=by_value)
refused("length", x, z, {{**tiling, "factors": [1]}}, kernel=by_value)
refused("member", x, z, {{**tiling, "rows": 1.5}}, kernel=by_value)
refused("no structure", x, z, 3, kernel=by_value)
for name, call in {{
    "no such argument": lambda: compile_kernel(
        source, name="scale", arguments={{"factor": x.dtype}}),
    "template arguments": lambda: compiled("typed<half>"),
}}.items():
    try:
        call()
    except ValueError as error:
        results[name] = str(error)
try:
    compile_kernel(source.replace("Muls(", "Mulz("), name="scale")
except Exception as error:
    results["build"] = f"{{type(error).__name__}} {{error}}"
torch.npu.synchronize()
print(json.dumps(results))
"""


@pytest.fixture(scope="module")
def results() -> dict[str, object]:
    sources = {name: str(KERNELS / f"{file}.asc") for name, file in SOURCES.items()}
    done = run(PROGRAM.format(**sources))
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


@needs_torch_npu
@pytest.mark.parametrize(
    "name",
    [
        "equal",
        "one block",
        "structure",
        "dataclass",
        "structure in memory",
        "template",
        "workspace",
        "stream",
    ],
)
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
        (
            "gradient",
            "x must be a tensor that does not require grad, got one that does: use "
            "torch.no_grad(), or a torch.autograd.Function",
        ),
        ("no tensor", "k must be called with at least one tensor"),
        (
            "dtype",
            "z must have dtype float32, as the kernel declares it, got float16",
        ),
        ("no workspace", "workspace must not be given: scale has no parameter of this name"),
        (
            "members",
            "tiling must have the members rows, columns, factors, offset, got rows, columns, "
            "factors",
        ),
        ("length", "tiling.factors must have 2 numbers, got 1"),
        ("member", "tiling.rows must be an integer, got float"),
        (
            "no structure",
            "tiling must be a mapping or a dataclass with the members of Tiling, got int",
        ),
        (
            "no such argument",
            "arguments must name parameters that take a tensor (x, z), got 'factor'",
        ),
        (
            "template arguments",
            "name must have 2 template arguments (T, factor), got 'typed<half>'",
        ),
        ("tensor", "x must be a tensor, got int"),
        ("negative", "count must fit into uint32_t, got -3"),
        ("blocks", "blocks must be 1 to 65535, got 0"),
    ],
)
def test_a_wrong_argument_is_refused(results: dict[str, object], name: str, message: str) -> None:
    assert results[name] == message


@needs_torch_npu
def test_the_compilers_message_is_the_text_of_the_error(results: dict[str, object]) -> None:
    assert str(results["build"]).startswith("BuildError ")
    assert "scale.asc:39" in str(results["build"])
    assert "Mulz" in str(results["build"])


def parameters_of(source: str, name: str) -> tuple[Parameter, ...]:
    return signature_of(source, name).parameters


def test_parameters_are_read_from_the_source() -> None:
    found = parameters_of(SCALE, "scale")
    assert [(p.name, p.c_type, p.code, p.dtype) for p in found] == [
        ("x", "uint8_t*", "P", ""),
        ("z", "uint8_t*", "P", ""),
        ("factor", "float", "f", ""),
        ("count", "uint32_t", "I", ""),
    ]


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ("const __gm__ half *__restrict__ x", ("x", "half*", "float16")),
        ("__gm__ Tiling* tiling", ("tiling", "Tiling*", "")),
        ("__gm__ void* x", ("x", "uint8_t*", "")),
        ("const unsigned int n", ("n", "unsigned int", "")),
        ("std::int64_t n", ("n", "int64_t", "")),
    ],
)
def test_the_forms_of_a_parameter(declared: str, expected: tuple[str, str, str]) -> None:
    (found,) = parameters_of(f"__global__ __aicore__ void k({declared}) {{}}", "k")
    assert (found.name, found.c_type, found.dtype) == expected


@pytest.mark.parametrize(
    ("attributes", "body", "expected"),
    [
        ("__global__ __aicore__", "", False),
        ("__global__ __vector__", "} __global__ __cube__ void other() {", False),
        ("__global__ __cube__", "", True),
        ("__cube__ __global__", "", True),
        ("__global__ __mix__(1, 2)", "", True),
        ("__global__ __aicore__", "KERNEL_TASK_TYPE_DEFAULT(KERNEL_TYPE_MIX_AIC_1_2);", True),
        ("__global__ __aicore__", "KERNEL_TASK_TYPE_DEFAULT(KERNEL_TYPE_AIV_ONLY);", False),
    ],
)
def test_the_cores_of_a_kernel_decide_the_blocks(
    attributes: str, body: str, expected: bool
) -> None:
    source = f"void f(); {attributes} void k(GM_ADDR x) {{ {body} }}"
    assert signature_of(source, "k").uses_cube is expected


def test_a_structure_has_the_layout_of_cpp() -> None:
    text = "struct S { uint8_t a; int64_t b, c; half d[N]; bool e = true; };"
    (found,) = signature_of(
        f"{text} __global__ __aicore__ void k(S s) {{}}", "k", {"N": 3}
    ).parameters
    assert found.structure is not None
    assert found.structure.size() == 32
    assert [name for name, _, _ in found.structure.members] == ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("__global__ __aicore__ void other(GM_ADDR x) {}", "one of the kernels .* other, got 'k'"),
        ("void k(GM_ADDR x) {}", "which has none, got 'k'"),
        ("__global__ __aicore__ void k(Tiling t) {}", "got 'Tiling t'"),
        ("struct S { float* x; }; __global__ __aicore__ void k(S s) {}", "got 'S s'"),
    ],
)
def test_a_kernel_that_cannot_be_called_is_refused(source: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        signature_of(source, "k")

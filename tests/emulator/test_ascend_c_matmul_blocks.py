"""Matmul objects give their blocks in the order that CANN documents, and as torch computes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from emulated_process import run, shell
from kernel_library import library_of

from op_builder.toolchain.torch_install import find_torch_npu

pytestmark = pytest.mark.skipif(find_torch_npu() is None, reason="torch_npu is not installed")

PROGRAM = """
FIELDS = ("usedCoreNum M N Ka Kb singleCoreM singleCoreN singleCoreK baseM baseN baseK depthA1 "
          "depthB1 stepM stepN isBias transLength iterateOrder").split()
SETTINGS = ("m n k org_m org_n org_k cores base_m base_n align_m align_n max_m max_n min_m min_n "
            "in_ub").split()

torch.manual_seed(5)

def tiling_of(**settings):
    given = dict.fromkeys(SETTINGS, -1) | {"in_ub": 0} | settings
    tiling = (ctypes.c_int32 * 64)()
    code = library.make_tiling((ctypes.c_int * len(SETTINGS))(*given.values()), tiling)
    return code, tiling

def launch(name, a, b, size, tiling, mistake=0):
    device = [t.npu() for t in (a, b, torch.zeros(size), torch.zeros(size))]
    pointers = [ctypes.c_void_p(tensor.data_ptr()) for tensor in device]
    code = library.run(name.encode(), stream, *pointers, tiling, mistake)
    assert code == 0, (name, code)
    return device[3].cpu()

def ceil(value, divisor):
    return -(-value // divisor)

def in_order(product, t):
    # The blocks of each core, one after another, each dense at the begin of its own place.
    places = []
    for core in range(t["usedCoreNum"]):
        part = product[:, core * t["singleCoreN"]:(core + 1) * t["singleCoreN"]]
        rows, columns = ceil(part.shape[0], t["baseM"]), ceil(part.shape[1], t["baseN"])
        if t["iterateOrder"] == 0:
            order = [(row, column) for first in range(0, columns, t["stepN"])
                     for row in range(rows)
                     for column in range(first, min(first + t["stepN"], columns))]
        else:
            order = [(row, column) for first in range(0, rows, t["stepM"])
                     for column in range(columns)
                     for row in range(first, min(first + t["stepM"], rows))]
        for row, column in order:
            block = part[row * t["baseM"]:(row + 1) * t["baseM"],
                         column * t["baseN"]:(column + 1) * t["baseN"]]
            places.append(block.reshape(-1))
    return places

def worst_of_blocks(name, order, step_m, step_n, rows=56):
    a, b = torch.randn(rows, 32).half(), torch.randn(32, 96).half()
    product = torch.nn.functional.leaky_relu(a.float() @ b.float(), 0.5)
    code, tiling = tiling_of(m=rows, n=96, k=32, org_m=rows, org_n=96, org_k=32, cores=2,
                             base_m=16, base_n=16, min_m=rows, max_n=48, in_ub=1)
    assert code == 0
    for field, value in {"iterateOrder": order, "stepM": step_m, "stepN": step_n}.items():
        tiling[FIELDS.index(field)] = value
    places = in_order(product, dict(zip(FIELDS, tiling)))
    found = launch(name, a, b, len(places) * 256, tiling).view(-1, 256)
    return max((place[:block.numel()] - block).abs().max().item()
               for place, block in zip(found, places))

results = {}
for name in ("one_by_one", "later", "in_workspace"):
    for order, step_m, step_n in ((0, 1, 1), (0, 4, 2), (0, 1, 5), (1, 1, 1), (1, 3, 2)):
        results[f"{name} {order} {step_m} {step_n}"] = worst_of_blocks(
            name, order, step_m, step_n)
a, b = torch.randn(24, 20).half(), torch.randn(20, 32).half()
code, tiling = tiling_of(m=24, n=32, k=20, org_m=24, org_n=32, org_k=20, cores=1)
found = launch("from_ub", a, b, 24 * 32, tiling).view(24, 32)
results["from_ub"] = (found - 2 * a.float() @ b.float()).abs().max().item()
a, b = torch.randn(48, 16).half(), torch.randn(16, 32).half()
found = launch("with_constant", a, b, 48 * 32, tiling).view(48, 32)
results["with_constant"] = (found - a.float() @ b.float()).abs().max().item()
code, tiling = tiling_of(m=32, n=16, k=16, org_m=32, org_n=32, org_k=16, cores=1)
found = launch("for_both", a[:32], b, 32 * 32, tiling).view(32, 32)
results["for_both"] = (found[:, :16] - a[:32].float() @ b[:, :16].float()).abs().max().item()
code, tiling = tiling_of(m=48, n=32, k=16, org_m=48, org_n=32, org_k=16, cores=1, base_m=16,
                         base_n=16)
found = launch("in_groups", a, b, 48 * 32, tiling).view(4, 48, 8).transpose(0, 1).reshape(48, 32)
results["in_groups"] = (found - a.float() @ b.float()).abs().max().item()

tilings = {}
shape = dict(m=512, n=128, k=128, org_m=512, org_n=128, org_k=128, cores=2)
square = shape | dict(n=512, org_n=512)
for name, settings in {
    "n_has_the_smaller_block": shape | dict(base_m=128, base_n=64, in_ub=1),
    "m_has_the_smaller_block": square,
    "fewer_loads": square | dict(n=256, org_n=256, base_m=64, base_n=256),
    "shape_of_the_matrices": square | dict(m=-1, n=-1, k=-1),
    "aligned": square | dict(m=400, n=64, align_m=128),
    "limited": square | dict(max_m=96, max_n=192),
    "at_least": shape | dict(min_m=512, base_m=128, base_n=64),
    "block_beyond_l0c": square | dict(base_m=256, base_n=256),
    "block_beyond_the_part": square | dict(m=12, base_m=32, base_n=64),
    "no_shape": shape | dict(m=-1, org_m=-1),
}.items():
    code, tiling = tiling_of(**settings)
    t = dict(zip(FIELDS, tiling))
    tilings[name] = [t[f] for f in FIELDS if "Core" in f or f in ("baseM", "baseN")]
    tilings[name] = code if code != 0 else tilings[name]
results["tilings"] = tilings
print(json.dumps(results))
"""

MISTAKES = {
    1: "LeakyRelu on PIPE_V does not wait for Matmul on PIPE_MTE2",
    2: "[matmul] GetTensorC after Iterate<false> takes the blocks from a workspace",
    3: "[global] Matmul writes bytes of global memory that block 0 writes with Matmul",
}
# The call with a mistake, in place of the calls of PROGRAM.
MISTAKE = """
a, b = torch.randn(32, 32).half(), torch.randn(32, 32).half()
code, tiling = tiling_of(m=32, n=32, k=32, org_m=32, org_n=32, org_k=32, cores=1, in_ub=1)
launch("later" if {mistake} < 3 else "for_both", a, b, 1024, tiling, {mistake})
"""


def program(calls: str | None = None) -> str:
    text = PROGRAM if calls is None else PROGRAM[: PROGRAM.index("results = {}")]
    return library_of("matmul_blocks") + text + (calls or "")


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    done = run(program())
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("order", ["0 1 1", "0 4 2", "0 1 5", "1 1 1", "1 3 2"])
@pytest.mark.parametrize("kernel", ["one_by_one", "later", "in_workspace"])
def test_blocks_come_in_order(results: dict[str, Any], kernel: str, order: str) -> None:
    assert results[f"{kernel} {order}"] < 1e-4


@pytest.mark.parametrize("kernel", ["from_ub", "with_constant", "for_both", "in_groups"])
def test_a_product_is_torchs(results: dict[str, Any], kernel: str) -> None:
    assert results[kernel] < 1e-4


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_reported(mistake: int) -> None:
    done = run(program(MISTAKE.format(mistake=mistake)))
    assert done.returncode != 0
    assert MISTAKES[mistake] in done.stderr


# usedCoreNum, singleCoreM, singleCoreN, singleCoreK, baseM, baseN; or what GetTiling returns.
TILINGS = {
    "n_has_the_smaller_block": [2, 512, 64, 128, 128, 64],
    "m_has_the_smaller_block": [2, 256, 512, 128, 128, 256],
    "fewer_loads": [2, 256, 256, 128, 64, 256],
    "shape_of_the_matrices": [2, 256, 512, 128, 128, 256],
    "aligned": [2, 256, 64, 128, 128, 64],
    "limited": [18, 96, 192, 128, 96, 192],
    "at_least": [2, 512, 64, 128, 128, 64],
    "block_beyond_l0c": -1,
    "block_beyond_the_part": -1,
    "no_shape": -1,
}


@pytest.mark.parametrize("name", TILINGS)
def test_a_tiling(results: dict[str, Any], name: str) -> None:
    assert results["tilings"][name] == TILINGS[name]


REFUSED = """
#include "kernel_operator.h"
#include "lib/matmul_intf.h"
using namespace AscendC;
using Operand = MatmulType<TPosition::GM, CubeFormat::ND, half>;
using Result = MatmulType<TPosition::GM, CubeFormat::ND, float>;
constexpr MatmulConfig partial() {
    MatmulConfig config = GetNormalConfig();
    config.isPartialOutput = true;
    return config;
}
constexpr MatmulConfig outer() {
    MatmulConfig config = GetNormalConfig();
    config.scheduleType = ScheduleType::OUTER_PRODUCT;
    return config;
}
constexpr MatmulConfig partial_config = partial(), outer_config = outer();
__global__ __cube__ void refused() {
    Matmul<Operand, Operand, Result, Result, partial_config> partial_product;
    Matmul<Operand, Operand, Result, Result, outer_config> outer_product;
    outer_product.Iterate();
}
"""


def test_the_compiler_refuses_what_is_not_emulated(tmp_path: Path) -> None:
    (tmp_path / "refused.asc").write_text(REFUSED, encoding="utf-8")
    command = "bisheng -x asc --npu-arch=dav-2201 -c refused.asc -o refused.o"
    done = shell(f". $ASCEND_HOME_PATH/set_env.sh && {command}", tmp_path)
    assert done.returncode != 0
    assert "isPartialOutput and intraBlockPartSum" in done.stderr
    assert "Iterate with ScheduleType::OUTER_PRODUCT" in done.stderr

"""Kernels in Ascend C run on the emulated Ascend 950, with its sizes, its types and its order."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from emulated_process import shell
from kernel_results import results_of

from op_builder.toolchain.torch_install import find_torch_npu

pytestmark = pytest.mark.skipif(find_torch_npu() is None, reason="torch_npu is not installed")
KERNELS = Path(__file__).resolve().parent / "kernels"
SOC = "Ascend950PR_9599"

# x, y and zeros of 256 floats; what each kernel leaves in z.
EXPECTED = {
    "sum_of_int64": "z = x.trunc() + y.trunc()",
    "sum_of_int32": "z = x.trunc() + y.trunc()",
    "larger_of_int64": "z = torch.maximum(x.trunc(), y.trunc())",
    "quotient": "z = (x.trunc() / (2 * y.trunc() + 1)).trunc()",
    "product_of_bfloat16": "z = (x.bfloat16() * y.bfloat16()).float()",
    "bits": "z = (x.int() & y.int()).float()",
    "subnormal": "z = torch.zeros(256)",
}


@pytest.fixture(scope="module")
def results() -> dict[str, object]:
    return results_of("plain_950", EXPECTED, soc=SOC)


@pytest.mark.parametrize("name", EXPECTED)
def test_an_instruction_has_the_types_of_ascend_950(results: dict[str, object], name: str) -> None:
    assert results[name] == []


def compiled(folder: Path, *flags: str, text: str = "") -> str:
    """Compile ``text`` or mistakes_950.asc; return what the compiler reports."""
    (folder / "program.asc").write_text(
        text or (KERNELS / "mistakes_950.asc").read_text(encoding="utf-8"), encoding="utf-8"
    )
    command = f"bisheng -x asc -O1 {' '.join(flags)} program.asc -o program -lascendcl"
    done = shell(f". $ASCEND_HOME_PATH/set_env.sh && {command}", folder)
    assert (done.returncode == 0) == (text == ""), done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("mistakes_950")
    compiled(folder, "--npu-arch=dav-3510 --cce-auto-sync=off")
    program = folder / "program"
    done = shell(f". $ASCEND_HOME_PATH/set_env.sh && {program}", folder, ASCEND_EMULATOR_SOC=SOC)
    assert done.returncode == 0, done.stderr
    found = dict(re.findall(r"== (\w+) (.*?)(?=\n==|\Z)", done.stdout, re.DOTALL))
    return {**found, "refused": done.stderr}


def test_a_buffer_beyond_the_248_kib_of_ub_is_refused(findings: dict[str, str]) -> None:
    message = "UB would hold 254976 bytes, and has 253952 on Ascend950PR_9599"
    assert message in findings["too_much_memory"]


def test_a_kernel_on_cube_cores_is_refused(findings: dict[str, str]) -> None:
    message = "on_cube runs on cube cores, and the emulated Ascend950PR_9599 has the vector cores"
    assert message in findings["refused"]


def test_vector_instructions_of_ascend_950_need_no_barrier(findings: dict[str, str]) -> None:
    assert findings["whole_ub"].strip() == "0 4"


MISTAKES = {
    "no_wait_for_load": "StoreAlign uses what LoadAlign at line {load} loaded from bytes of UB "
    "that DataCopy at line {copy} writes, on PIPE_MTE2, without an order; SetFlag and "
    "WaitFlag<HardEvent::MTE2_V>",
    "no_barrier": "in the same vector function; LocalMemBar<MemType::VEC_STORE, "
    "MemType::VEC_LOAD>()",
    "tail_selected": "loaded from bytes of UB that nothing has written; the mask must not select",
    "never_loaded": "StoreAlign uses elements of a register that have no value",
    "no_mask": "Add: the MaskReg has no value",
    "unaligned_address": "LoadAlign: the address must be a multiple of 32 bytes, got offset 4",
    "behind_ub": "LoadAlign reads 256 bytes from offset 253824 on, and UB has 253952",
    "no_post": "StoreUnAlign without StoreUnAlignPost behind it",
    "no_pre": "LoadUnAlignPre must come before LoadUnAlign",
    "same_index": "Scatter: the indices must differ from each other",
    "squeezed_twice": "StoreUnAlign must come between two of them",
    "negative_shift": "a shift by a negative number of bits is not defined",
    "divided_by_zero": "Div divides an integer by zero",
    "saturating_half": "results of half that saturate (bit 48 is 0) are not emulated",
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_with_registers_is_found(findings: dict[str, str], mistake: str) -> None:
    lines = (KERNELS / "mistakes_950.asc").read_text(encoding="utf-8").splitlines()
    places = {"load": "    LoadAlign(value, x);", "copy": "    DataCopy(tensor, source, loaded);"}
    numbers = {name: lines.index(line) + 1 for name, line in places.items()}
    assert findings[mistake].startswith("507015 "), findings[mistake]
    assert MISTAKES[mistake].format(**numbers) in findings[mistake]


def test_registers_without_a_mistake_have_no_finding(findings: dict[str, str]) -> None:
    assert findings["no_mistake"].startswith("0 ")


INT64 = """
#include "kernel_operator.h"
extern "C" __global__ __vector__ void kernel() {
    AscendC::LocalTensor<int64_t> x;
    AscendC::Add(x, x, x, 32, 1, AscendC::BinaryRepeatParams(1, 1, 1, 8, 8, 8));
}
"""


REGISTERS = """
#include "kernel_operator.h"
__simd_vf__ inline void add(__ubuf__ float* x) {
    AscendC::MicroAPI::RegTensor<float> value;
    AscendC::MicroAPI::LoadAlign(value, x);
}
"""
STORE = """
#include "kernel_operator.h"
__simd_vf__ inline void store(__ubuf__ float* x) {
    AscendC::Reg::RegTensor<half> value;
    AscendC::Reg::MaskReg mask;
    AscendC::Reg::StoreAlign(x, value, mask);
}
"""
SIMT = """
#include "kernel_operator.h"
template <class T>
__simt_vf__ __aicore__ inline void add(__gm__ T* x) { x[threadIdx.x] += 1; }
"""


@pytest.mark.parametrize(
    ("arch", "text", "message"),
    [
        (
            "dav-2201",
            REGISTERS,
            "__simd_vf__ is of the register API, which Ascend 950 alone has: compile with "
            "--npu-arch=dav-3510, got dav-2201",
        ),
        ("dav-3510", SIMT, "__simt_vf__ is of the SIMT API of Ascend 950, which is not emulated"),
        ("dav-3510", STORE, "the register's elements must have the size of T"),
    ],
)
def test_an_api_that_is_not_there_is_a_compile_error_that_names_it(
    tmp_path: Path, arch: str, text: str, message: str
) -> None:
    assert message in compiled(tmp_path, f"--npu-arch={arch}", text=text)


@pytest.mark.parametrize(
    ("arch", "message"),
    [
        ("dav-3510", "this type has the form with a count of elements only"),
        ("dav-2201", "Add has no instruction for this type"),
    ],
)
def test_a_type_that_an_instruction_does_not_have_is_a_compile_error(
    tmp_path: Path, arch: str, message: str
) -> None:
    assert message in compiled(tmp_path, f"--npu-arch={arch}", text=INT64)

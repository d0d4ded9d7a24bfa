"""Kernels in Ascend C are compiled by the emulated bisheng and run on the emulated AI core."""

from __future__ import annotations

import re
import subprocess
import textwrap
from pathlib import Path

import pytest
from emulated_process import outside, run, shell, start

from op_builder.toolchain.torch_install import find_torch_npu

pytestmark = pytest.mark.skipif(find_torch_npu() is None, reason="torch_npu is not installed")
KERNELS = Path(__file__).resolve().parent / "kernels"


def after_set_env(command: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a shell command in the environment of the emulated CANN's ``set_env.sh``."""
    return shell(f". $ASCEND_HOME_PATH/set_env.sh && {command}", folder, **variables)


def program(name: str, folder: Path, *flags: str) -> Path:
    """Compile a kernel with its ``main`` by the command that CANN documents."""
    command = f"bisheng -x asc --npu-arch=dav-2201 -O1 {' '.join(flags)} {KERNELS / name}"
    done = after_set_env(f"{command} -o program -lascendcl", folder)
    assert done.returncode == 0, done.stderr
    return folder / "program"


MISTAKES = {
    "no_queue_after_load": "read after write: Muls on PIPE_V does not wait for DataCopy on "
    "PIPE_MTE2",
    "no_queue_before_store": "DataCopy on PIPE_MTE3 does not wait for Muls on PIPE_V",
    "refilled_too_early": "write after read: DataCopy on PIPE_MTE2 does not wait for Muls",
    "never_freed": "was never given to FreeTensor",
    "used_after_free": "Muls uses a tensor after FreeTensor",
    "freed_twice": "FreeTensor of a tensor that is free already",
    "freed_by_another_queue": "FreeTensor: the tensor is not of this queue",
    "dequeued_from_empty_queue": "DeQue of an empty queue",
    "enqueued_too_often": "the queue's depth is 1, and it holds 1 tensors",
    "too_much_memory": "UB would hold 262144 bytes, and has 196608 on Ascend910B2",
    "too_many_buffers": "must not have more than 64 buffers, and this one would have 66",
    "beyond_tensor": "Muls leaves the tensor's buffer of 1024 bytes by 256 bytes",
    "never_written": "Muls reads 1024 bytes of UB from offset 0 on, which nothing has written",
    "read_behind_allocation": "DataCopy reads 1024 bytes of global memory, of which none is",
    "write_behind_allocation": "DataCopy writes 1024 bytes of global memory, of which none is",
    "half_a_block": "a device moves whole blocks of 32: 992 bytes; use DataCopyPad",
    "unaligned_tensor": "the tensor's address must be a multiple of 32 bytes, got offset 1028",
    "mask_out_of_range": "the mask must be 1 to 64, got 65",
    "no_blocks_to_copy": "the block count must be 1 to 4095",
    "too_much_padding": "leftPadding and rightPadding must be at most 32 bytes",
    "vector_on_l1": "the vector unit reads and writes UB only",
    "wait_without_set": "MTE2_V with event id 0 without a SetFlag before it",
    "set_without_wait": "has no WaitFlag when the kernel ends",
    "set_twice": "which is set since line",
    "no_such_event": "the event id must be 0 to 7, got 9",
    "same_bytes": "writes bytes of global memory that block 0 writes with DataCopy",
    "read_without_sync": "writes bytes of global memory that block 1 reads with DataCopy",
    "one_block_skips_sync": "block 0 waits in SyncAll at mistakes.asc:",
    "flag_never_set": "block 0 waits for flag 3",
    "block_never_told": "block 1 waits in IBWait or IBSet at mistakes.asc:",
    "pool_too_small": "the pool has 512 bytes, of which 512 are free, and 544 are wanted",
    "communicates": "GetHcclContext: kernels that communicate are not emulated",
    "assertion": "ascendc_assert(GetBlockNum() == 77) does not hold",
}


@pytest.fixture(scope="module")
def mistakes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return program("mistakes.asc", tmp_path_factory.mktemp("mistakes"))


@pytest.fixture(scope="module")
def findings(mistakes: Path) -> dict[str, str]:
    done = after_set_env(str(mistakes), mistakes.parent)
    assert done.returncode == 0, done.stderr
    return dict(re.findall(r"== (\w+) (.*?)(?=\n==|\Z)", done.stdout, re.DOTALL))


def test_the_kernel_without_a_mistake_has_no_finding(findings: dict[str, str]) -> None:
    assert findings["none"].strip() == "0"
    assert set(findings) == {"none", *MISTAKES}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_found_with_its_line(findings: dict[str, str], mistake: str) -> None:
    assert findings[mistake].startswith("507015 "), findings[mistake]
    assert MISTAKES[mistake] in findings[mistake]
    assert re.search(r"^  mistakes\.asc:\d+: \[\w+\] ", findings[mistake], re.MULTILINE)


def test_checks_can_be_switched_off(mistakes: Path) -> None:
    done = after_set_env(str(mistakes), mistakes.parent, ASCEND_EMULATOR_KERNEL_CHECKS="0")
    assert "== never_freed 0" in done.stdout
    assert "== too_much_memory 507015" in done.stdout  # the kernel cannot go on


def test_scalar_code_that_cleans_the_data_cache_has_no_finding(tmp_path: Path) -> None:
    done = after_set_env(str(program("data_cache.asc", tmp_path)), tmp_path)
    assert done.stdout.splitlines() == ["0", *["11 101 112 7"] * 4], done.stderr


def test_a_matrix_product_on_the_cube(tmp_path: Path) -> None:
    done = after_set_env(str(program("product.asc", tmp_path)), tmp_path)
    assert done.stdout == "code 0, wrong 0 \n", done.stderr


TYPES = """
#include "kernel_operator.h"
#if ORIG_DTYPE_X != DT_BF16 || ORIG_DTYPE_X == DT_FLOAT16 || FORMAT_X != FORMAT_FRACTAL_NZ
#error "another type"
#endif
"""
# The host's enumerators have the names of the macros.
TILING = """
#include "kernel_operator.h"
#include "tiling/tiling_api.h"
constexpr auto type = matmul_tiling::DataType::DT_FLOAT16;
static_assert(static_cast<int>(type) == 1);
"""


@pytest.mark.parametrize(
    ("text", "dtype", "message"),
    [
        (TYPES, "DT_BF16", ""),
        (TYPES, "DT_FLOAT16", "another type"),
        (TYPES, "DT_FLOAT", "another type"),
        (TILING, "DT_BF16", ""),
    ],
)
def test_kernels_of_ops_compare_their_dtypes(
    tmp_path: Path, text: str, dtype: str, message: str
) -> None:
    (tmp_path / "types.cpp").write_text(text, encoding="utf-8")
    names = f"-DORIG_DTYPE_X={dtype} -DFORMAT_X=FORMAT_FRACTAL_NZ"
    command = f"bisheng -x cce --npu-arch=dav-2201 -O1 {names} -c types.cpp -o types.o"
    done = after_set_env(command, tmp_path)
    assert (done.returncode == 0) == (message == ""), done.stderr
    assert message in done.stderr


# What only the device's compiler takes is in a header that another header includes.
HEADERS = {
    "library/macros.h": "#define BOTH inline [host, aicore]",
    "library/plain.h": "inline int plain(int x) { return x; }",
    "library/twice.h": '#include "macros.h"\n#include "plain.h"\n'
    "BOTH int twice(int x) { return plain(2 * x); }",
    "kernel.asc": """
#include "kernel_operator.h"
#if 0
#include "library/twice.h"
#endif
#include "library/twice.h"
#include "library/plain.h"
extern "C" __global__ __aicore__ void kernel(GM_ADDR x) { AscendC::printf("%d", twice(2)); }
void launch(uint8_t* x) { kernel<<<1, 0>>>(x); }
""",
}


def test_a_header_inside_a_header_is_rewritten(tmp_path: Path) -> None:
    (tmp_path / "library").mkdir()
    for name, text in HEADERS.items():
        (tmp_path / name).write_text(f"#pragma once\n{text}\n", encoding="utf-8")
    command = "bisheng -x asc --npu-arch=dav-2201 -O1 -w -MD -MF kernel.d -c kernel.asc -o kernel.o"
    done = after_set_env(command, tmp_path)
    assert done.returncode == 0, done.stderr
    named = (tmp_path / "kernel.d").read_text(encoding="utf-8").replace("\\\n", " ").split()
    assert {str(tmp_path / name) for name in HEADERS if name != "kernel.asc"} <= set(named)
    assert not [name for name in named if "/bisheng-" in name]


PROJECT = """
import ctypes, sys
import torch, torch_npu
from op_builder import AscendCOpBuilder

class ScaleBuilder(AscendCOpBuilder):
    NAME = "scale"
    BUILD_VAR = "DS_BUILD_SCALE"
    BINDING = "ctypes"
    NPU_ARCH = "{arch}"

    def sources(self):
        return ["{source}"]

    def source_root(self):
        from pathlib import Path
        return Path({root!r})

scale = ScaleBuilder().load().scale_launch
x = torch.arange({count}, dtype=torch.float32).npu()
z = torch.empty_like(x)
stream = ctypes.c_void_p(torch.npu.current_stream().npu_stream)
scale(8, stream, ctypes.c_void_p(x.data_ptr()), ctypes.c_void_p(z.data_ptr()),
      ctypes.c_float(3), x.numel())
print((z.cpu() == 3 * torch.arange({count}, dtype=torch.float32)).all().item())
print((z + 1).sum().item() == (3 * x + 1).sum().item())
"""


def project(root: Path = KERNELS, **values: object) -> str:
    defaults = {"arch": "dav-2201", "source": "scale.asc", "count": 100003}
    return PROJECT.format(root=str(root), **{**defaults, **values})


def test_a_builder_compiles_a_kernel_that_runs_between_the_ops_of_torch() -> None:
    done = run(project())
    assert done.stdout.split() == ["True", "True"], done.stderr


@pytest.mark.long
def test_a_kernel_for_another_architecture_is_refused() -> None:
    done = run(project(arch="dav-3510"))
    assert done.stdout.split() != ["True", "True"]
    assert "compiled for dav-3510, and Ascend910B2 is dav-2201" in done.stderr


def test_a_soc_whose_sizes_are_unknown_runs_no_kernel() -> None:
    done = start(project(), ASCEND_EMULATOR_SOC="Ascend910A")
    assert done.stdout.split() != ["True", "True"]
    assert "kernel scale cannot run on Ascend910A" in done.stderr


def test_an_error_in_a_kernel_is_the_message_of_the_exception(tmp_path: Path) -> None:
    text = (KERNELS / "scale.asc").read_text(encoding="utf-8")
    (tmp_path / "wrong.asc").write_text(text.replace("Muls(", "NoSuchInstruction("))
    done = run(project(tmp_path, source="wrong.asc"))
    assert "BuildError" in done.stderr
    assert re.search(r"wrong\.asc:39:\d+: error: .NoSuchInstruction. is not a member", done.stderr)


def test_the_message_about_a_missing_function_names_the_page_on_adding_it(tmp_path: Path) -> None:
    text = (KERNELS / "scale.asc").read_text(encoding="utf-8")
    (tmp_path / "wrong.asc").write_text(text.replace("Muls(", "NoSuchInstruction("))
    done = after_set_env("bisheng -x asc -c wrong.asc -o wrong.o", tmp_path)
    assert done.returncode == 1
    assert (
        "may lack NoSuchInstruction. To add a function of Ascend C, see docs/how-to/" in done.stderr
    )


def test_the_error_without_a_soc_names_the_variable() -> None:
    code = """
        from op_builder import AscendCOpBuilder
        class KernelBuilder(AscendCOpBuilder):
            NAME = "kernel"
            BUILD_VAR = "DS_BUILD_KERNEL"
        try:
            KernelBuilder().npu_arch()
        except Exception as error:
            print(error)
        """
    done = outside("-c", textwrap.dedent(code))
    assert "Set ASCEND_OPS_SOC, for example ASCEND_OPS_SOC=Ascend910B2" in done.stdout

"""C and C++ programs build against the emulated CANN as against a real one, and run on it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from emulated_process import ascend_ops, shell
from limits import HANG_SECONDS

from ascend_ops.emulator import emulated_cann
from ascend_ops.emulator.aclnn_headers import documented_headers, header_of
from ascend_ops.emulator.cann_layout import ALIASES
from op_builder.toolchain.torch_install import find_torch_npu

pytestmark = pytest.mark.skipif(find_torch_npu() is None, reason="torch_npu is not installed")
PROGRAMS = Path(__file__).resolve().parent / "programs"


def compiled(source: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Compile with the command that CANN's operator repositories document."""
    return shell(
        f"g++ {source} -I $ASCEND_HOME_PATH/include -I $ASCEND_HOME_PATH/include/aclnnop "
        "-L $ASCEND_HOME_PATH/lib64 -lopapi_nn -lopapi_math -lascendcl -lnnopbase -o program",
        folder,
    )


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("program")
    done = compiled(PROGRAMS / "add.cpp", folder)
    assert done.returncode == 0, done.stderr
    return folder / "program"


def test_a_program_runs_under_emulate(program):
    done = ascend_ops("emulate", "--", str(program))
    assert (done.returncode, done.stdout) == (0, "21 42 63 84\n"), done.stderr
    assert "emulated Ascend910B2" in done.stderr


def test_a_program_runs_after_set_env(program):
    done = shell(". $ASCEND_HOME_PATH/set_env.sh && ./program && npu-smi info -l", program.parent)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("21 42 63 84\n")


def test_cmake_builds_a_program_as_cann_documents_it(tmp_path):
    if shutil.which("cmake") is None:
        pytest.skip("cmake is not installed")
    shutil.copytree(PROGRAMS, tmp_path, dirs_exist_ok=True)
    done = shell(
        ". $ASCEND_HOME_PATH/set_env.sh && cmake . -DCMAKE_CXX_COMPILER=g++ "
        "-DCMAKE_SKIP_RPATH=TRUE && make && ./bin/opapi_test",
        tmp_path,
        ASCEND_CUSTOM_PATH=str(emulated_cann().root),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("21 42 63 84\n")


def test_handles_return_what_they_are_and_the_other_headers_work(tmp_path):
    done = compiled(PROGRAMS / "handles.cpp", tmp_path)
    assert done.returncode == 0, done.stderr
    done = shell(". $ASCEND_HOME_PATH/set_env.sh && ./program", tmp_path)
    assert done.returncode == 0, done.stderr


def test_a_call_of_a_function_that_is_not_emulated_does_not_compile_and_is_named(tmp_path):
    headers = emulated_cann().root / "include" / "aclnnop"
    name, header = next(
        (found[1], file.name)
        for file in sorted(headers.glob("*.h"))
        if (found := re.search(r"ACLNN_NOT_EMULATED\((\w+)\)", file.read_text()))
    )
    source = tmp_path / "program.cpp"
    source.write_text(
        f'#include "aclnnop/{header}"\n'
        f"int main() {{ uint64_t n; return {name}GetWorkspaceSize(nullptr, &n); }}\n"
    )
    done = compiled(source, tmp_path)
    assert done.returncode != 0
    assert f"{name} is not emulated: see `ascend-ops emulate --coverage`" in done.stderr


@pytest.mark.parametrize("language", ["c", "c++"])
def test_every_header_compiles(language, tmp_path):
    folder = emulated_cann().root / "include"
    headers = sorted((folder / "aclnnop").glob("*.h"))
    assert len(headers) >= len(documented_headers())
    text = "".join(f'#include "aclnnop/{header.name}"\n' for header in headers)
    hccl = '#include "hccl/hccl.h"\n' if language == "c++" else ""  # the wheel's is C++
    done = subprocess.run(
        ["g++", "-x", language, "-fsyntax-only", "-Wall", "-Wextra", f"-I{folder}", "-"],
        input=f'#include "aclnnop/level2/aclnn_add.h"\n#include "securec.h"\n{hccl}{text}',
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr[:3000]
    assert "error" not in done.stderr


def test_declarations_have_the_parameters_of_the_source_with_a_remark_each():
    headers = emulated_cann().root / "include" / "aclnnop"
    add = (headers / header_of("aclnnAdd")).read_text()
    assert (
        "// Computed by aten::add.Tensor.\n"
        "aclnnStatus aclnnAddGetWorkspaceSize(\n"
        "    const aclTensor* self,  // input\n"
        "    const aclTensor* other,  // input\n"
        "    const aclScalar* alpha,  // input\n"
        "    aclTensor* out,  // output\n" in add
    )
    assert "aclTensor* selfRef" in add or "aclTensor* self,  // read and written" in add
    matmul = (headers / header_of("aclnnGroupedMatmulV4")).read_text()
    assert "perTokenScale,  // " in matmul


def test_aliases_are_the_libraries_that_have_the_functions():
    folder = emulated_cann().library_dir
    for alias, library in ALIASES.items():
        assert (folder / alias).samefile(folder / library)


@pytest.mark.parametrize(
    ("soc", "arguments", "wanted"),
    [
        ("Ascend910B2", "info -l", r"^\tTotal Count +: 2\n"),
        ("Ascend910B2", "info -m", r"\n\t1 +0 +1 +Ascend 910B2\n"),
        ("Ascend910B2", "info -t board -i 1 -c 0", r"Chip Type +: Ascend\n\tChip Name +: 910B2\n"),
        ("Ascend910_9382", "info -t board -i 0 -c 0", r"NPU Name +: 9382\n(.|\n)*: Ascend910\n"),
        ("Ascend910B2", "info -t board -i 0", r"Product Name +: EMULATED\n"),
        ("Ascend910B2", "info", r"EMULATED, computed on the CPU"),
    ],
)
def test_npu_smi_describes_the_emulated_devices(soc, arguments, wanted):
    """DeepSpeed's tests read the first line of ``info -l``; launchers only run ``info``."""
    done = shell(
        f'"$ASCEND_HOME_PATH"/bin/npu-smi {arguments}',
        PROGRAMS,
        ASCEND_EMULATOR_DEVICES="2",
        ASCEND_EMULATOR_SOC=soc,
        ASCEND_RT_VISIBLE_DEVICES="0",
    )
    assert done.returncode == 0, done.stderr
    assert re.search(wanted, done.stdout), done.stdout


def test_npu_smi_refuses_what_it_does_not_have():
    done = ascend_ops("emulate", "--", "npu-smi", "info", "-t", "board", "-i", "7")
    assert done.returncode == 1
    assert "-i must be a device below 1, got 7" in done.stderr

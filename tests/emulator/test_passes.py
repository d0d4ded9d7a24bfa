"""Kernels whose code for vector and cube cores differs by the macros of the compiler's passes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from emulated_process import run, shell
from kernel_library import KERNELS, library_of

from op_builder.toolchain.torch_install import find_torch_npu

pytestmark = pytest.mark.skipif(find_torch_npu() is None, reason="torch_npu is not installed")
SOURCE = KERNELS / "passes.asc"
IMPORTS = """
import ctypes, struct, torch, torch_npu

stream = ctypes.c_void_p(torch.npu.current_stream().npu_stream)
"""
SHOW = """
def show(launch):
    out = torch.zeros(2 * 3 * 16).npu()
    assert not launch(ctypes.c_void_p(out.data_ptr()))
    print(out.cpu().view(2, 3, 16)[:, :, 0].tolist())
"""
CALLS = """
library.run.restype = None
show(lambda out: library.run(0, 2, stream, out))
show(lambda out: library.run(1, 2, stream, out))
"""
BINARY = """
acl = ctypes.CDLL("libascendcl.so")
binary, kernel = ctypes.c_void_p(), ctypes.c_void_p()
assert acl.aclrtBinaryLoadFromFile({file!r}.encode(), None, ctypes.byref(binary)) == 0
assert acl.aclrtBinaryGetFunction(binary, b"marks", ctypes.byref(kernel)) == 0

def launch(out):
    packed = struct.pack("<Q", out.value)
    return acl.aclrtLaunchKernelWithHostArgs(
        kernel, 2, stream, None, packed, ctypes.c_size_t(8), None, ctypes.c_size_t(0))

show(launch)
"""
MARKS = "[[222.0, 111.0, 111.0], [222.0, 111.0, 111.0]]"


def results(program: str, begin: str = IMPORTS) -> list[str]:
    done = run(begin + SHOW + program)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def bisheng(arguments: str, folder: Path, then: str = "true") -> None:
    command = f"bisheng --npu-arch=dav-2201 {arguments} && {then}"
    done = shell(f". $ASCEND_HOME_PATH/set_env.sh && {command}", folder)
    assert done.returncode == 0, done.stderr


def test_each_core_runs_the_code_of_its_own_pass() -> None:
    found = results(CALLS, library_of("passes"))
    assert found == [MARKS, "[[1.0, 0.5, 0.5], [1.0, 0.5, 0.5]]"]


@pytest.mark.parametrize(("arch", "mark"), [("vec", 111.0), ("cube", 222.0)])
def test_the_pass_over_one_kind_of_core_alone_runs_on_these_cores(
    arch: str, mark: float, tmp_path: Path
) -> None:
    bisheng(f"--cce-aicore-arch=dav-c220-{arch} -shared {SOURCE} -o libpasses.so", tmp_path)
    library = f"library = ctypes.CDLL({str(tmp_path / 'libpasses.so')!r})\n"
    call = "library.run.restype = None\nshow(lambda out: library.run(0, 1, stream, out))\n"
    (found,) = results(library + call)
    place = 1 if arch == "vec" else 0
    assert json.loads(found)[0] == [mark if index == place else 0.0 for index in range(3)]


def test_a_binary_has_both_passes(tmp_path: Path) -> None:
    link = "ld.lld -m aicorelinux passes.rel.o -o passes.o"
    bisheng(f"--cce-aicore-only {SOURCE} -o passes.rel.o", tmp_path, link)
    assert results(BINARY.format(file=str(tmp_path / "passes.o"))) == [MARKS]


def test_two_objects_are_linked_and_their_headers_are_listed_once(tmp_path: Path) -> None:
    """Two sources with inline functions and launches of the same names."""
    text = SOURCE.read_text(encoding="utf-8").replace("of_core = 2.0F", "of_core = 3.0F")
    (tmp_path / "other.asc").write_text(
        text.replace(" run(", " run_other(").replace("marks", "other_marks"), encoding="utf-8"
    )
    bisheng(f"-MD -c {SOURCE} -o passes.o", tmp_path)
    bisheng("-MMD -MF listed.d -c other.asc -o other.o", tmp_path)
    bisheng("-shared passes.o other.o -o libpasses.so", tmp_path)
    library = f"library = ctypes.CDLL({str(tmp_path / 'libpasses.so')!r})\n"
    calls = "".join(
        f"library.{name}.restype = None\nshow(lambda out: library.{name}(0, 2, stream, out))\n"
        for name in ("run", "run_other")
    )
    assert results(library + calls) == [MARKS, MARKS.replace("222", "223")]
    for file, target, source in (
        ("passes.d", "passes.o", str(SOURCE)),
        ("listed.d", "other.o", "other.asc"),
    ):
        listed = (tmp_path / file).read_text(encoding="utf-8").split()
        assert listed[0] == f"{target}:"
        assert source in listed
        assert not [name for name in listed if name.startswith("/tmp/bisheng")]


def test_an_error_in_the_pass_over_cube_cores_is_shown_with_its_line(tmp_path: Path) -> None:
    text = SOURCE.read_text(encoding="utf-8").replace("of_core = 2.0F", "of_core = absent")
    (tmp_path / "wrong.asc").write_text(text, encoding="utf-8")
    command = "bisheng --npu-arch=dav-2201 -c wrong.asc -o wrong.o"
    done = shell(f". $ASCEND_HOME_PATH/set_env.sh && {command}", tmp_path)
    assert done.returncode != 0
    line = text[: text.index("absent")].count("\n") + 1
    assert f"wrong.asc:{line}:" in done.stderr
    assert not (tmp_path / "wrong.o").exists()

"""NPU ops build with only the files of CANN and torch_npu: no device, no driver, no import.

The CANN and the torch_npu here are made by the test: headers of a few lines and libraries that this
machine's compiler made of them.
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from op_builder.builder import OpBuilder
from op_builder.errors import BuildError, IncompatibleOpError

pytestmark = pytest.mark.compiler

HERE = Path(__file__).parent
CANN_HEADER, TORCH_NPU_HEADER = 1, 2
DEVICES = 16


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def write_headers(include: Path, origin: int) -> None:
    write(include / "acl" / "acl.h", "#pragma once\n")
    declaration = 'extern "C" int aclrtGetDeviceCount(unsigned int*);\n'
    guard = "#ifndef INC_ACL_RT_H\n#define INC_ACL_RT_H\n{}#endif\n"
    text = guard.format(f"#define ACL_HEADER_ORIGIN {origin}\n{declaration}")
    write(include / "acl" / "acl_rt.h", text)


def build_library(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    flags = ["-shared", "-fPIC", f"-Wl,-soname,{path.name}", "-x", "c++", "-"]
    subprocess.run(["g++", *flags, "-o", str(path)], input=text, text=True, check=True)


@pytest.fixture
def cann(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Create and source CANN 8.5.0, whose AscendCL reports 16 devices."""
    root = tmp_path / "Ascend of O'Neil" / "cann-8.5.0"
    write_headers(root / "include", CANN_HEADER)
    function = 'extern "C" int aclrtGetDeviceCount(unsigned int* n) {{ *n = {}; return 0; }}'
    build_library(root / "lib64" / "libascendcl.so", function.format(DEVICES))
    (root / "opp").mkdir()
    write(root / "share" / "info" / "runtime" / "version.info", "Version=8.5.0\n")
    monkeypatch.setenv("ASCEND_HOME_PATH", str(root))
    return root


@pytest.fixture
def torch_npu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Create a torch_npu for this machine's torch that must not be imported."""
    from op_builder.toolchain.torch_install import find_torch

    torch = find_torch()
    assert torch is not None
    release = ".".join(map(str, torch.release))
    root = tmp_path / "site" / "torch_npu"
    write(root / "__init__.py", "raise ImportError('libhccl.so: cannot open shared object file')\n")
    write(root / "version.py", f"__version__ = '{release}'\ngit_version = 'c798c6532a0d'\n")
    write_headers(root / "include" / "third_party" / "acl" / "inc", TORCH_NPU_HEADER)
    build_library(root / "lib" / "libtorch_npu.so", "")
    monkeypatch.syspath_prepend(root.parent)
    monkeypatch.delitem(sys.modules, "torch_npu", raising=False)
    return root


@pytest.fixture
def probes(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(HERE / "npu_op")
    import npu_probe

    return npu_probe


def test_upstream_13_an_npu_op_is_built_without_an_npu(
    cann: Path, torch_npu: Path, probes: Any
) -> None:
    """vllm-ascend #6816, #7278, #6264; DeepSpeed #2010: npu-smi or an import was required."""
    built = probes.ProbeBuilder().build()
    ctypes.CDLL(str(cann / "lib64" / "libascendcl.so"), mode=ctypes.RTLD_GLOBAL)
    ctypes.CDLL(str(torch_npu / "lib" / "libtorch_npu.so"), mode=ctypes.RTLD_GLOBAL)
    assert ctypes.CDLL(str(built.library)).device_count() == DEVICES
    assert "torch_npu" not in sys.modules


def test_upstream_28_canns_headers_come_before_torch_npus(
    cann: Path, torch_npu: Path, probes: Any
) -> None:
    """vllm-ascend #17059: both ship acl/acl_rt.h with the same include guard."""
    built = probes.ProbeBuilder().build()
    ctypes.CDLL(str(cann / "lib64" / "libascendcl.so"), mode=ctypes.RTLD_GLOBAL)
    ctypes.CDLL(str(torch_npu / "lib" / "libtorch_npu.so"), mode=ctypes.RTLD_GLOBAL)
    assert ctypes.CDLL(str(built.library)).header_origin() == CANN_HEADER
    folders = probes.ProbeBuilder().plan().spec.include_dirs
    from_cann = next(i for i, folder in enumerate(folders) if folder.startswith("cann"))
    from_torch_npu = next(i for i, folder in enumerate(folders) if folder.startswith("torch_npu"))
    assert from_cann < from_torch_npu


def test_an_op_that_calls_ascendcl_alone_needs_no_torch_npu(cann: Path, probes: Any) -> None:
    spec = probes.BareProbeBuilder().plan().spec
    assert "torch_npu" not in spec.bound_to
    assert not any("torch_npu" in flag for flag in spec.ld_flags)
    assert probes.BareProbeBuilder().build().library.is_file()


def test_the_versions_are_a_part_of_the_key(cann: Path, torch_npu: Path, probes: Any) -> None:
    before = probes.ProbeBuilder().plan()
    assert before.spec.bound_to["cann"] == "8.5.0"
    assert "c798c6532a0d" in before.spec.bound_to["torch_npu"]
    write(cann / "share" / "info" / "runtime" / "version.info", "Version=8.5.1\n")
    assert probes.ProbeBuilder().plan().build_key().digest != before.build_key().digest


def test_another_place_of_the_same_cann_is_the_same_key(
    cann: Path, torch_npu: Path, probes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = probes.ProbeBuilder().plan().build_key().digest
    moved = cann.rename(cann.with_name("elsewhere"))
    monkeypatch.setenv("ASCEND_HOME_PATH", str(moved))
    assert probes.ProbeBuilder().plan().build_key().digest == before


def test_upstream_09_all_reasons_are_given_at_once(
    probes: Any, torch_npu: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """vllm-ascend #262, #152, #130: a bare KeyError, and the last reason hid the others."""
    monkeypatch.setenv("ASCEND_HOME_PATH", "/nonexistent/cann")
    write(torch_npu / "version.py", "__version__ = '1.11.0'\n")
    builder: OpBuilder = probes.ProbeBuilder()
    assert not builder.is_compatible()
    with pytest.raises(IncompatibleOpError) as raised:
        builder.load()
    message = str(raised.value)
    for words in ("/nonexistent/cann", "/usr/local/Ascend", "torch_npu 1.11.0", "set_env.sh"):
        assert words in message
    assert len(raised.value.reasons) >= 2


CALLER = """
extern "C" int aclnnAdd(void*); extern "C" int HcclSend(void*); extern "C" int acl_free(void*);
extern "C" int aclrtGetDeviceCount(unsigned int*);
extern "C" __attribute__((weak)) int aclnnPerhaps();
extern "C" __attribute__((visibility("default"))) int call(unsigned int* n) {
    return aclrtGetDeviceCount(n) + aclnnAdd(n) + HcclSend(n) + acl_free(n) + (aclnnPerhaps != 0);
}
"""


def _caller(folder: Path, *flags: str) -> OpBuilder:
    from op_builder import NPUOpBuilder

    write(folder / "caller.cpp", CALLER)

    class CallerBuilder(NPUOpBuilder):
        NAME, BUILD_VAR, BINDING = "caller", "DS_BUILD_CALLER", "ctypes"
        USES_TORCH_NPU = False

        def source_root(self) -> Path:
            return folder

        def sources(self) -> list[str]:
            return ["caller.cpp"]

        def extra_ldflags(self) -> list[str]:
            return list(flags)

    return CallerBuilder()


def test_undefined_functions_of_cann_fail_the_build_by_name(cann: Path, tmp_path: Path) -> None:
    """The library was built, and ended the process at the first call."""
    build_library(cann / "lib64" / "libopapi.so", 'extern "C" int aclnnAdd(void*) { return 0; }')
    with pytest.raises(BuildError) as raised:
        _caller(tmp_path / "op").build()
    message = raised.value.first_error
    assert "HcclSend, aclnnAdd; add -lopapi to extra_ldflags()" in message
    for defined in ("aclrtGetDeviceCount", "acl_free", "aclnnPerhaps"):
        assert defined not in message


def test_functions_of_cann_may_be_defined_by_what_a_linked_library_needs(
    cann: Path, tmp_path: Path
) -> None:
    build_library(cann / "lib64" / "libhccl.so", 'extern "C" int HcclSend(void*) { return 0; }')
    folder = cann / "lib64"
    flags = ["-shared", "-fPIC", "-Wl,--no-as-needed", "-x", "c++", "-", f"-L{folder}", "-lhccl"]
    definition = 'extern "C" int aclnnAdd(void*) { return 0; }'
    command = ["g++", "-o", str(folder / "libopapi.so"), *flags]
    subprocess.run(command, input=definition, text=True, check=True)
    assert _caller(tmp_path / "op", "-lopapi").build().library.is_file()


def test_undefined_functions_of_cann_can_be_allowed(cann: Path, tmp_path: Path) -> None:
    assert _caller(tmp_path / "op", "-Wl,-z,undefs").build().library.is_file()

"""What CANN's compiler for kernels gets, for each CANN version and each SoC.

The compiler here records its command lines, and compiles with this machine's g++ what is left of
them.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from op_builder import AscendCOpBuilder
from op_builder.errors import AscendOpsError, BuildError

pytestmark = pytest.mark.compiler

KERNEL = 'extern "C" int answer() { return 42; }\n'
HOST = 'extern "C" __attribute__((visibility("default"))) int host() { return 43; }\n'
BISHENG = """#!{python} -SE
import json, os, sys
arguments = sys.argv[1:]
with open({log!r}, "a") as log:
    log.write(json.dumps([arguments, dict(os.environ)]) + "\\n")
left = [a for a in arguments if not a.startswith(("-xcce", "--npu-arch", "--cce-"))]
left = ["c++" if a == "asc" else a for a in left]
if "-xcce" in arguments:
    left = ["-x", "c++", *left]
os.execvp("g++", ["g++", *left])
"""


class Kernels(AscendCOpBuilder):
    """A kernel beside host code."""

    NAME = "kernels"
    BUILD_VAR = "DS_BUILD_KERNELS"
    BINDING = "ctypes"

    def sources(self) -> list[str]:
        return ["kernel.asc", "host.cpp"]

    def source_root(self) -> Path:
        return self.folder

    folder: Path


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "sources"
    folder.mkdir()
    (folder / "kernel.asc").write_text(KERNEL, encoding="utf-8")
    (folder / "host.cpp").write_text(HOST, encoding="utf-8")
    monkeypatch.setattr(Kernels, "folder", folder, raising=False)
    monkeypatch.setenv("ASCEND_OPS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("ASCEND_OPS_COMPILER_LAUNCHER", raising=False)
    return folder


def make_cann(folder: Path, version: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Create a CANN with a compiler at its place, and source it; return the compiler's log."""
    root, log = folder / f"cann-{version}", folder / "log"
    (root / "include" / "acl").mkdir(parents=True)
    (root / "include" / "acl" / "acl.h").write_text("#pragma once\n", encoding="utf-8")
    (root / "lib64").mkdir()
    library = ["-shared", "-fPIC", "-x", "c++", "/dev/null", "-o", "lib64/libascendcl.so"]
    subprocess.run(["g++", *library], cwd=root, check=True)
    (root / "opp").mkdir()
    info = root / "share" / "info" / "runtime" / "version.info"
    info.parent.mkdir(parents=True)
    info.write_text(f"Version={version}\n", encoding="utf-8")
    old = version.startswith(("8.0", "8.1"))
    bisheng = root / ("compiler/ccec_compiler/bin" if old else "bin") / "bisheng"
    bisheng.parent.mkdir(parents=True)
    text = BISHENG.format(python=sys.executable, log=str(log))
    bisheng.write_text(text, encoding="utf-8")
    bisheng.chmod(0o755)
    monkeypatch.setenv("ASCEND_HOME_PATH", str(root))
    return log


ROWS = [
    ("8.0.0", "Ascend910B2", "vector", "-xcce --cce-soc-version=Ascend910B2 "
     "--cce-soc-core-type=VecCore"),
    ("8.1.RC1", "Ascend910B1", "cube", "-xcce --cce-soc-version=Ascend910B1 "
     "--cce-soc-core-type=CubeCore"),
    ("8.2.RC1", "Ascend310P3", "mix", "-xcce --cce-soc-version=Ascend310P3 "
     "--cce-soc-core-type=AICore"),
    ("8.3.RC1", "Ascend910B2", "vector", "-x asc --npu-arch=dav-2201"),
    ("8.5.0", "Ascend910_9382", "mix", "-x asc --npu-arch=dav-2201"),
    ("9.0.0", "Ascend310P1", "vector", "-x asc --npu-arch=dav-2002"),
    ("9.1.0", "Ascend950PR_9589", "vector", "-x asc --npu-arch=dav-3510"),
    ("9.1.0", "Ascend310B4", "vector", "-x asc --npu-arch=dav-3002"),
    ("9.1.0", "Ascend910A", "vector", "-x asc --npu-arch=dav-1001"),
]  # fmt: skip


@pytest.mark.parametrize(("version", "soc", "cores", "flags"), ROWS)
def test_the_flags_of_a_kernel(
    version: str,
    soc: str,
    cores: str,
    flags: str,
    tmp_path: Path,
    sources: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_cann(tmp_path, version, monkeypatch)
    monkeypatch.setenv("ASCEND_OPS_SOC", soc)
    monkeypatch.setattr(Kernels, "CORES", cores)
    found = Kernels().source_flags()
    assert list(found) == ["kernel.asc"], "host code is compiled as C++"
    assert found["kernel.asc"] == [*flags.split(), "-fvisibility=default", "-DASCENDC_DUMP=0"]


def compiles(log: Path, source: str) -> list[tuple[list[str], dict[str, str]]]:
    """Return the command lines that compiled a file, with their environments."""
    lines = log.read_text(encoding="utf-8").splitlines()
    calls: list[tuple[list[str], dict[str, str]]] = [tuple(json.loads(line)) for line in lines]  # type: ignore[misc]
    return [call for call in calls if "-c" in call[0] and any(source in a for a in call[0])]


@pytest.mark.parametrize(("version", "first"), [("8.1.RC1", "-xcce"), ("9.1.0", "-x")])
def test_a_library_of_a_kernel_and_host_code(
    version: str, first: str, tmp_path: Path, sources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = make_cann(tmp_path, version, monkeypatch)
    monkeypatch.setenv("ASCEND_OPS_SOC", "Ascend910B2")
    monkeypatch.setenv("CPATH", "/nonexistent/headers")
    monkeypatch.setenv("UNRELATED", "1")
    built: Any = Kernels().build()
    library = ctypes.CDLL(str(built.library))
    assert (library.answer(), library.host()) == (42, 43)
    [(arguments, environ)] = compiles(log, "kernel.asc")
    file = next(index for index, word in enumerate(arguments) if word.endswith("kernel.asc"))
    assert arguments.index(first) < file, "a compiler takes -x for the files behind it"
    assert environ["CPATH"] == "/nonexistent/headers", "it is a part of the key"
    assert "UNRELATED" not in environ
    [(arguments, _)] = compiles(log, "host.cpp")
    assert not [word for word in arguments if word.startswith(("-x", "--cce", "--npu"))]


def test_the_compilers_message_is_the_text_of_the_error(
    tmp_path: Path, sources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_cann(tmp_path, "9.1.0", monkeypatch)
    monkeypatch.setenv("ASCEND_OPS_SOC", "Ascend910B2")
    (sources / "kernel.asc").write_text("no_such_type x;\n", encoding="utf-8")
    with pytest.raises(BuildError, match=r"kernel\.asc:1:1: error: .no_such_type."):
        Kernels().build()


def test_another_architecture_is_another_entry(
    tmp_path: Path, sources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_cann(tmp_path, "9.1.0", monkeypatch)
    keys = []
    for soc in ("Ascend910B2", "Ascend950"):
        monkeypatch.setenv("ASCEND_OPS_SOC", soc)
        keys.append(Kernels().plan().build_key().digest)
    assert keys[0] != keys[1]


def test_a_cann_without_a_compiler_is_refused(
    tmp_path: Path, sources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_cann(tmp_path, "9.1.0", monkeypatch)
    (tmp_path / "cann-9.1.0" / "bin" / "bisheng").unlink()
    monkeypatch.setenv("ASCEND_OPS_SOC", "Ascend910B2")
    with pytest.raises(AscendOpsError, match="Install the CANN toolkit"):
        Kernels().plan()


LOADED = """
import sys
from pathlib import Path
from op_builder import AscendCOpBuilder

planned = []
plan = AscendCOpBuilder.plan

def recorded(self, *arguments):
    planned.append(self)
    return plan(self, *arguments)

AscendCOpBuilder.plan = recorded

class HostBuilder(AscendCOpBuilder):
    NAME = "host"
    BUILD_VAR = "DS_BUILD_HOST"
    BINDING = "ctypes"

    def sources(self):
        return ["host.cpp"]

    def source_root(self):
        return Path(sys.argv[1])

assert HostBuilder().load().host() == 43
print(bool(planned))
"""


def test_a_hit_is_memoized_for_a_compiler_that_is_a_program(
    tmp_path: Path, sources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_cann(tmp_path, "9.1.0", monkeypatch)
    bisheng = tmp_path / "cann-9.1.0" / "bin" / "bisheng"
    bisheng.unlink()
    compiler = shutil.which("g++")
    assert compiler is not None
    bisheng.symlink_to(compiler)
    monkeypatch.setenv("ASCEND_OPS_SOC", "Ascend910B2")

    def searches() -> bool:
        command = [sys.executable, "-c", LOADED, str(sources)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout.strip() == "True"

    assert searches()  # builds
    time.sleep(3)  # a status too recent is not memoized
    assert searches()
    assert not searches()
    monkeypatch.setenv("ASCEND_OPS_SOC", "Ascend310P3")
    assert searches()


def test_what_a_class_derives_itself_is_not_memoized(
    tmp_path: Path, sources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_cann(tmp_path, "9.1.0", monkeypatch)
    monkeypatch.setenv("ASCEND_OPS_SOC", "Ascend910B2")

    class Derived(Kernels):
        def compatibility(self, toolchain: Any) -> list[str]:
            return super().compatibility(toolchain)

    environ = dict(os.environ)
    assert Kernels()._hit_memo(environ) is not None
    assert Derived()._hit_memo(environ) is None

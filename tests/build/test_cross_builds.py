"""``ascend-ops build --target aarch64``: ops for another CPU, loaded under qemu."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sandbox import Sandbox

from op_builder import CPUAdamBuilder, CPUOpBuilder, NPUOpBuilder
from op_builder.cache.layers import Layer
from op_builder.cross import build_for_machine, builder_for
from op_builder.errors import BuildError, CompilerNotFoundError, IncompatibleOpError
from op_builder.lazy_dataclass import replace
from op_builder.system.elf import read_library

CXX = "aarch64-linux-gnu-g++"
QEMU = shutil.which("qemu-aarch64") or shutil.which("qemu-aarch64-static")
PROGRAMS = Path(__file__).parent / "cross"
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "external_ops"
_AARCH64 = 183  # e_machine

pytestmark = pytest.mark.cross
needs_cross = pytest.mark.skipif(
    shutil.which(CXX) is None or QEMU is None or os.uname().machine == "aarch64",
    reason=f"needs {CXX} and qemu-aarch64 (Debian: g++-aarch64-linux-gnu qemu-user), not aarch64",
)


def compile_program(source: Path, output: Path, *flags: str) -> Path:
    """Compile a program or library for aarch64."""
    subprocess.run([CXX, "-std=c++17", *flags, source, "-o", output, "-ldl"], check=True)
    return output


def run_on_aarch64(*command: Path, **environ: str) -> str:
    """Run a program under qemu, with the C library of the cross compiler."""
    assert QEMU is not None
    variables = [word for name, value in environ.items() for word in ("-E", f"{name}={value}")]
    done = subprocess.run(
        [QEMU, "-L", "/usr/aarch64-linux-gnu", *variables, *command],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def machine_of(library: Path) -> int:
    """Return the number of the machine in the header of an ELF file."""
    return int.from_bytes(library.read_bytes()[18:20], "little")


@needs_cross
def test_an_op_without_torch_computes_on_aarch64(sandbox: Sandbox, tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from op_builder.cross import *;"
        "from example_ops.crc32c import Crc32cBuilder;"
        "print(build_for_machine(builder_for(Crc32cBuilder, 'aarch64'), Path(sys.argv[1])).library)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "ops")],
        env={**sandbox.environ, "PYTHONPATH": f"{EXAMPLE}:{os.environ.get('PYTHONPATH', '')}"},
        cwd=EXAMPLE.parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    caller = compile_program(PROGRAMS / "call_crc32c.cpp", tmp_path / "caller")
    assert run_on_aarch64(caller, Path(done.stdout.strip())) == "e3069283\n"


@needs_cross
def test_the_command_builds_stable_ops_that_register_on_aarch64(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    arguments = ["build", "--target", "arm64", "--output", str(tmp_path / "ops"), "cpu_adam"]
    built = json.loads(sandbox.run_cli(*arguments, "--json"))["ops"]
    again = json.loads(sandbox.run_cli(*arguments, "--json"))["ops"]
    assert [op["outcome"] for op in (*built, *again)] == ["built", "cached"]
    assert not sandbox.cache.exists() or not sandbox.entries()

    library = Path(built[0]["library"])
    assert machine_of(library) == _AARCH64
    dynamic = read_library(library)
    assert dynamic is not None
    assert "libtorch_cpu.so" in dynamic.needed
    of_torch = {name for name in dynamic.undefined if name.startswith(("aoti_", "torch_"))}
    source = (PROGRAMS / "load_stable.cpp").read_text(encoding="utf-8")
    lines = (f"NEVER_CALLED({name})\n" for name in of_torch if f"int {name}(" not in source)
    (tmp_path / "torch_functions.inc").write_text("".join(lines), encoding="utf-8")
    flags = [f"-I{tmp_path}", "-shared", "-fPIC", "-DTORCH"]
    compile_program(PROGRAMS / "load_stable.cpp", tmp_path / "libtorch_cpu.so", *flags)
    loader = compile_program(PROGRAMS / "load_stable.cpp", tmp_path / "loader", f"-I{tmp_path}")

    printed = run_on_aarch64(loader, library, LD_LIBRARY_PATH=str(tmp_path))
    assert "namespace ascend_ops_cpu_adam\n" in printed
    assert "function adam_step(" in printed
    assert "implementation of adam_step\n" in printed


@needs_cross
def test_the_other_machine_finds_the_build_in_its_site_cache(tmp_path: Path) -> None:
    """The recipe does not contain the stand-in for torch that the library was linked against."""
    there = builder_for(CPUAdamBuilder, "aarch64")
    entry = build_for_machine(there, tmp_path)
    found = replace(there.plan(), layers=(Layer("site", tmp_path, shipped=True),)).find()
    assert found.entry is not None
    assert found.entry.path == entry.path
    flags = there.source_flags()
    assert flags["cpu/optimizer/kernels_sve.cpp"][0] == "-march=armv8.2-a+sve"
    assert "cpu/optimizer/kernels_avx2.cpp" not in flags


@needs_cross
def test_a_function_that_torch_lacks_fails_the_link(tmp_path: Path) -> None:
    class Wrong(CPUOpBuilder):
        NAME = "wrong"
        BUILD_VAR = "DS_BUILD_WRONG"

        def sources(self) -> list[str]:
            return ["wrong.cpp"]

        def source_root(self) -> Path:
            return tmp_path

    text = 'extern "C" void torch_no_such();\nvoid* call() { torch_no_such(); return 0; }\n'
    (tmp_path / "wrong.cpp").write_text(text, encoding="utf-8")
    with pytest.raises(BuildError, match="torch_no_such"):
        build_for_machine(builder_for(Wrong, "aarch64"), tmp_path / "ops")


def test_a_compiler_for_this_machine_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CXX", "g++")
    with pytest.raises(
        CompilerNotFoundError, match=r"(?s)g\+\+: compiles for .*g\+\+-s390x-linux-gnu"
    ):
        build_for_machine(builder_for(CPUAdamBuilder, "s390x"), tmp_path)


def test_a_missing_cross_compiler_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(CompilerNotFoundError, match=r"nonesuch-linux-gnu-g\+\+: not found on PATH"):
        build_for_machine(builder_for(CPUAdamBuilder, "nonesuch"), tmp_path)


class LinksCann(NPUOpBuilder):
    NAME = "links_cann"
    BUILD_VAR = "DS_BUILD_LINKS_CANN"
    BINDING = "ctypes"


class Native(CPUAdamBuilder):
    def cxx_args(self) -> list[str]:
        return ["-march=native"]


class BoundToPython(CPUAdamBuilder):
    BINDING = "python"


@pytest.mark.parametrize(
    ("op", "words"),
    [
        (LinksCann, "links CANN cannot be built for s390x"),
        (Native, "-march=native is this machine's CPU"),
        (BoundToPython, "BINDING must be 'stable' or 'ctypes' to build for s390x"),
    ],
)
def test_what_needs_the_other_machine_is_refused(
    op: type[CPUAdamBuilder], words: str, tmp_path: Path
) -> None:
    with pytest.raises(IncompatibleOpError, match=words):
        build_for_machine(builder_for(op, "s390x"), tmp_path)


@pytest.mark.parametrize("method", ["load", "jit_load", "build"])
def test_an_op_for_another_machine_is_never_loaded_or_cached(method: str) -> None:
    with pytest.raises(IncompatibleOpError, match="it is built for s390x, and this machine is"):
        getattr(builder_for(CPUAdamBuilder, "s390x"), method)()


@pytest.mark.parametrize("machine", ["", "../x", "aarch64 "])
def test_a_machine_is_a_name(machine: str) -> None:
    with pytest.raises(ValueError, match="machine must be a name like aarch64"):
        builder_for(CPUAdamBuilder, machine)

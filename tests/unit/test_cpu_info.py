"""Reading the /proc/cpuinfo of three architectures."""

from __future__ import annotations

from pathlib import Path

from op_builder.toolchain import cpu_info

X86 = """\
processor\t: {number}
vendor_id\t: AuthenticAMD
cpu family\t: 25
model\t\t: 17
model name\t: AMD EPYC 9354 32-Core Processor
stepping\t: 1
cpu MHz\t\t: 3{number}00.000
flags\t\t: fpu sse2 avx avx2 fma f16c avx512f avx512_bf16
bugs\t\t: sysret_ss_attrs

"""
AARCH64 = """\
processor\t: {number}
BogoMIPS\t: 200.00
Features\t: fp asimd evtstrm sve bf16
CPU implementer\t: 0x48
CPU architecture: 8
CPU variant\t: 0x1
CPU part\t: 0xd01
CPU revision\t: 0

"""
RISCV = """\
processor\t: {number}
hart\t\t: 0
isa\t\t: rv64imafdcv_zicbom_zvfh
mmu\t\t: sv39
uarch\t\t: thead,c910

"""


def _machine(block: str, cores: int = 4) -> str:
    return "".join(block.replace("{number}", str(number)) for number in range(cores))


def test_features() -> None:
    x86 = {"fpu", "sse2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512_bf16"}
    assert cpu_info.parse_features(_machine(X86)) == x86
    assert cpu_info.parse_features(_machine(AARCH64)) == {"fp", "asimd", "evtstrm", "sve", "bf16"}
    assert cpu_info.parse_features(_machine(RISCV)) == {"rv64imafdcv_zicbom_zvfh"}
    assert cpu_info.parse_features("") == frozenset()


def test_identity_is_the_model_and_not_the_moment() -> None:
    first, second = X86.replace("{number}", "0"), X86.replace("{number}", "1")
    assert cpu_info.parse_identity(first) == cpu_info.parse_identity(second)
    assert cpu_info.parse_identity(first)["model"] == "17"
    assert cpu_info.parse_identity(first) != cpu_info.parse_identity(first.replace("17", "18"))
    assert cpu_info.parse_identity(_machine(AARCH64)) == {
        "Features": "fp asimd evtstrm sve bf16",
        "CPU implementer": "0x48",
        "CPU variant": "0x1",
        "CPU part": "0xd01",
    }
    assert cpu_info.parse_identity(_machine(RISCV))["uarch"] == "thead,c910"


def test_only_the_first_block_is_read(tmp_path: Path) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text(_machine(X86, 1000) + "flags: none\n", encoding="utf-8")
    assert "avx512f" in cpu_info.features(file)
    assert cpu_info.identity(file)["vendor_id"] == "AuthenticAMD"


def test_a_machine_that_reports_nothing(tmp_path: Path) -> None:
    assert cpu_info.features(tmp_path / "gone") == frozenset()
    assert cpu_info.identity(tmp_path / "gone") == {}


def test_this_machine_reports_its_cpu() -> None:
    assert cpu_info.features()
    assert cpu_info.identity()

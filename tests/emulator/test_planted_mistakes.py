"""The emulated AI core finds each mistake that is planted in this project's kernels."""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path

import pytest
from emulated_process import shell
from planted_mistake import Mistake
from planted_mistakes import MISTAKES

from op_builder.toolchain.torch_install import find_torch_npu

pytestmark = pytest.mark.skipif(find_torch_npu() is None, reason="torch_npu is not installed")
SOURCES = Path(__file__).resolve().parents[2] / "csrc" / "npu" / "kernels"
PROGRAM = Path(__file__).parent / "programs" / "launch_planted.py"
FAMILIES = ("norm", "softmax", "rotary", "moe", "fused_optimizers")
# What some mistakes use: buffers beside those of the kernel.
MEMBERS = "    TBuf<TPosition::VECCALC> sum_, other_, narrow_, halves_;\n"
MORE_MEMBERS = (
    "    TBuf<TPosition::VECCALC> never_;\n    TBuf<TPosition::A1> on_l1_;\n"
    "    TQue<TPosition::VECOUT, 1> many_;\n    Input<T> written_;\n"
)
BUFFERS = "        pipe_.InitBuffer(halves_, tile * sizeof(half));\n"
MORE_BUFFERS = (
    "        pipe_.InitBuffer(never_, tile * sizeof(float));\n"
    "        pipe_.InitBuffer(many_, 1, 32);\n        written_.init(pipe_, total);\n"
)


def text_of(kernel: str) -> str:
    """Return a kernel with its header, without what several of them in one file must share."""
    header = (SOURCES / "rows.h").read_text(encoding="utf-8")
    header = header[header.index("namespace ascend_ops") : header.index("/// Define `launch_")]
    source = (SOURCES / f"{kernel}.asc").read_text(encoding="utf-8")
    source = re.sub(r"#include [^\n]*\n", "\n", source)
    source = source.replace(MEMBERS, MEMBERS + MORE_MEMBERS).replace(
        BUFFERS, BUFFERS + MORE_BUFFERS
    )
    return f'#line 1 "rows.h"\n{header}#line 1 "{kernel}.asc"\n{source}'


def variant(text: str, number: int) -> str:
    """Return a kernel in a namespace of its own, with a launcher for fp32."""
    launcher = (
        f'extern "C" void launch_{number}(uint32_t blocks, void* stream, const void* packed) {{\n'
        "    launch<float>(blocks, stream, packed);\n}\n"
    )
    text = re.sub(r"ASCEND_OPS_LAUNCHERS\(\w+\)\n", launcher, text)
    return f"namespace m{number} {{\n{text}}}\n"


def compiled(kernel: str, mistakes: list[tuple[int, Mistake | None]], folder: Path) -> Path:
    """Compile variants of one kernel, all with the same flags, into one library."""
    parts = ['#include "kernel_operator.h"\n']
    for number, mistake in mistakes:
        text = text_of(kernel)
        if mistake is not None:
            assert text.count(mistake.old) == 1, f"{mistake.name}: {text.count(mistake.old)} places"
            text = text.replace(mistake.old, mistake.new)
        parts.append(variant(text, number))
    auto_sync = all(mistake is None or mistake.auto_sync for _, mistake in mistakes)
    name = f"{kernel}_{'on' if auto_sync else 'off'}"
    (folder / f"{name}.asc").write_text("".join(parts), encoding="utf-8")
    flags = "" if auto_sync else "--cce-auto-sync=off"
    command = f"bisheng -x asc --npu-arch=dav-2201 {flags} -w -shared -fPIC {name}.asc -o {name}.so"
    done = shell(f". $ASCEND_HOME_PATH/set_env.sh && {command}", folder)
    assert done.returncode == 0, done.stderr
    return folder / f"{name}.so"


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return what the core reports for each mistake, then for each kernel without one."""
    folder = tmp_path_factory.mktemp("planted")
    variants: list[Mistake | None] = [*MISTAKES, *[None] * len(FAMILIES)]
    kernels = [*(mistake.kernel for mistake in MISTAKES), *FAMILIES]
    groups: dict[tuple[str, bool], list[tuple[int, Mistake | None]]] = {}
    for number, mistake in enumerate(variants):
        auto_sync = mistake is None or mistake.auto_sync
        groups.setdefault((kernels[number], auto_sync), []).append((number, mistake))
    launches: list[list[str]] = [[] for _ in variants]
    for (kernel, _), members in groups.items():
        library = compiled(kernel, members, folder)
        for number, _ in members:
            launches[number] = [str(library), f"launch_{number}", kernel]
    program = shlex.join([sys.executable, str(PROGRAM), json.dumps(launches)])
    done = shell(f". $ASCEND_HOME_PATH/set_env.sh && {program}", folder)
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_there_is_a_mistake_for_each_rule() -> None:
    assert len(MISTAKES) >= 60
    assert len({mistake.name for mistake in MISTAKES}) == len(MISTAKES)


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_planted_mistake_is_reported(reports: list[str], mistake: Mistake) -> None:
    report = reports[MISTAKES.index(mistake)]
    assert report.startswith("507015 "), f"no report of: {mistake.name}"
    assert mistake.report in report
    assert re.search(r"^  (rows\.h|\w+\.asc):\d+: \[\w+\] ", report, re.MULTILINE)


@pytest.mark.parametrize("kernel", FAMILIES)
def test_a_kernel_without_a_mistake_has_no_report(reports: list[str], kernel: str) -> None:
    assert reports[len(MISTAKES) + FAMILIES.index(kernel)] == ""


REFUSED = {
    "Div": ("    Div(integers, integers, integers, 8);", "Div has no instruction for this type"),
    "And": ("    And(floats, floats, floats, 8);", "And has no instruction for this type"),
    "PipeBarrier": ("    PipeBarrier<PIPE_S>();", "PipeBarrier<PIPE_S> does not exist"),
    "SetAtomicAdd": ("    SetAtomicAdd<uint64_t>();", "SetAtomicAdd has no instruction for this"),
}


def test_the_compiler_refuses_what_no_instruction_does(tmp_path: Path) -> None:
    lines = "\n".join(line for line, _ in REFUSED.values())
    (tmp_path / "refused.asc").write_text(
        '#include "kernel_operator.h"\nusing namespace AscendC;\n'
        "__global__ __vector__ void refused() {\n    LocalTensor<float> floats;\n"
        f"    LocalTensor<int32_t> integers;\n{lines}\n}}\n",
        encoding="utf-8",
    )
    command = "bisheng -x asc --npu-arch=dav-2201 -c refused.asc -o refused.o"
    done = shell(f". $ASCEND_HOME_PATH/set_env.sh && {command}", tmp_path)
    assert done.returncode != 0
    for name, (_, message) in REFUSED.items():
        assert message in done.stderr, name

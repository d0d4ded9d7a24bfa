"""One Markdown file with everything that helps to answer an issue, without secrets."""

from __future__ import annotations

import json
import os
import platform
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from op_builder import envs
from op_builder.version import __version__

from . import npu_smi
from .examine import Report
from .finding import Finding
from .imports import FRAMEWORKS
from .machine import Machine
from .packages import version
from .redaction import REMOVED, is_secret, redact

#: The variables that decide what this project, torch, torch_npu, CANN and the loader do.
_PREFIXES = (
    "ACL_", "ASCEND_", "ATB_", "CANN_", "CCACHE_", "CONDA_", "DS_", "HCCL_", "INF_NAN_", "KMP_",
    "LD_", "MAX_JOBS", "NPU_", "OMP_", "PYTHON", "PYTORCH_", "SLURM_", "TASK_QUEUE_", "TORCH",
    "TOOLCHAIN_HOME", "VIRTUAL_ENV", "CC", "CXX", "CFLAGS", "CXXFLAGS", "LANG", "LC_", "PATH",
    "XDG_", "TMPDIR", "container",
)  # fmt: skip
_PACKAGES = (
    "ascend_ops", "torch", "torch_npu", *FRAMEWORKS, "peft", "trl", "kernels", "numpy", "ninja",
    "packaging", "setuptools", "pip", "triton", "triton-ascend", "vllm", "vllm-ascend",
)  # fmt: skip
_FENCE = "~~~~"


def render(machine: Machine, report: Report, sections: Mapping[str, str] | None = None) -> str:
    """Return the text of a bundle.

    Args:
        machine: The machine that was examined.
        report: The result of the examination.
        sections: More to include, by title.

    Returns:
        Markdown; secrets, homes, and the names of the user and the machine are removed.
    """
    parts = [f"# ascend-ops doctor, {__version__}", "", _status(report), ""]
    parts += _findings(report.findings)
    parts += _block("Facts", _facts(report))
    parts += _block("Environment", _variables(machine))
    parts += _block("Packages", _versions(machine))
    parts += _block("System", _system(machine))
    smi = npu_smi.query(machine)
    if smi.program:
        parts += _block("npu-smi info", [smi.ran.output, smi.ran.failure])
    for title, text in (sections or {}).items():
        parts += _block(title, [text])
    return redact("\n".join(parts) + "\n", machine.environ, machine.home, os.uname().nodename)


def write(file: Path, text: str) -> None:
    """Write a bundle to a new file that only its owner can read.

    Raises:
        FileExistsError: The file exists; it may be something else.
        OSError: The file cannot be written.
    """
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8", errors="replace") as stream:  # noqa: PTH123
        stream.write(text)


def _status(report: Report) -> str:
    counts = Counter(finding.severity.value for finding in report.findings)
    words = {"broken": "broken", "warning": "warnings", "note": "notes"}
    counted = ", ".join(f"{counts[name]} {word}" for name, word in words.items())
    return f"{counted}; exit code {report.exit_code}; {report.seconds:.1f} s"


def _findings(findings: Sequence[Finding]) -> Iterator[str]:
    yield "## Findings"
    for finding in findings:
        yield from ("", f"- **{finding.severity.value}** `{finding.check}`: {finding.what}")
        yield f"  - {finding.why}"
        for remedy in finding.remedies:
            when = f" ({remedy.when})" if remedy.when else ""
            yield f"  - `{remedy.command}`{when}"
    yield ""


def _block(title: str, lines: Sequence[str]) -> list[str]:
    text = "\n".join(line.rstrip() for line in lines if line).replace(_FENCE, "")
    return [f"## {title}", "", _FENCE, text, _FENCE, ""]


def _facts(report: Report) -> list[str]:
    lines = []
    for each in report.examinations:
        for fact in each.facts:
            lines.append(f"{each.family}: {fact.name}: {fact.value}")
            lines += [f"    {line}" for line in fact.detail]
    return lines


def _variables(machine: Machine) -> list[str]:
    known = {variable.name for variable in envs.all_variables()}
    return [
        f"{name}={REMOVED if is_secret(name) else value}"
        for name, value in sorted(machine.environ.items())
        if name in known or name.startswith(_PREFIXES)
    ]


def _versions(machine: Machine) -> list[str]:
    found = ((name, version(machine, name)) for name in _PACKAGES)
    return [f"{name} {number}" for name, number in found if number]


def _system(machine: Machine) -> list[str]:
    name = json.dumps(platform.uname()._asdict() | {"node": ""})
    files = ("/etc/os-release", "/etc/ascend_install.info", "/proc/self/cgroup")
    return [name, *(f"{file}:\n{machine.read(file)}" for file in files if machine.exists(file))]

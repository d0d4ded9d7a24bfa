"""Installed packages, and the pip line that installs the right ones."""

from __future__ import annotations

import importlib.metadata
import shlex
from pathlib import Path

from op_builder.cann import CannVersion, compatibility

from .finding import Remedy
from .machine import Machine

#: The index of torch's builds without CUDA.
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
# From this release on, PyPI's wheels for aarch64 require CUDA's libraries, too; those for x86_64
# always did. They work beside torch_npu, but take gigabytes.
_FIRST_AARCH64_WITH_CUDA = (2, 11)


def installed(machine: Machine, name: str) -> list[tuple[str, Path]]:
    """Return version and folder of each install of a distribution, the one that is used first."""
    found = []
    for folder in dict.fromkeys(machine.python.folders):
        for each in importlib.metadata.distributions(name=name, path=[folder]):
            found.append((each.version, Path(folder)))
    return found


def version(machine: Machine, name: str) -> str | None:
    """Return the version of a distribution, or None if it is not installed."""
    return next((version for version, _ in installed(machine, name)), None)


def is_importable(machine: Machine, name: str) -> bool:
    """Return whether a package can be found; nothing is imported."""
    folders = [Path(folder) for folder in machine.python.folders]
    return any((folder / name / "__init__.py").is_file() for folder in folders)


def pip(machine: Machine) -> str:
    """Return how to start pip for the examined Python."""
    return f"{shlex.join(machine.python.command)} -m pip"


def pip_line(machine: Machine, torch_npu: str) -> str:
    """Return the line that installs a torch_npu and its torch, without CUDA's libraries.

    Args:
        machine: The machine, whose Python and architecture decide.
        torch_npu: A release, for example ``2.9.0.post2``.
    """
    release = ".".join(torch_npu.split(".")[:3])
    line = tuple(int(part) for part in release.split(".")[:2] if part.isdecimal())
    if machine.architecture == "aarch64" and line < _FIRST_AARCH64_WITH_CUDA:
        return f"{pip(machine)} install torch=={release} torch_npu=={torch_npu}"
    return (
        f"{pip(machine)} install torch=={release}+cpu torch_npu=={torch_npu} "
        f"--extra-index-url {CPU_INDEX}"
    )


def install_line(
    machine: Machine,
    cann: CannVersion | None,
    torch: str | None = None,
    torch_npu: str | None = None,
) -> Remedy:
    """Return the line that installs what fits a CANN, on this Python and architecture.

    If no release for this CANN has wheels for this Python, the line makes an environment with a
    Python that has.
    """
    table = compatibility.load_table()
    known = cann if cann is not None else table.canns[0]
    wanted = compatibility.choose_torch_npu(known, machine.python.line, torch, torch_npu)
    if wanted is not None:
        return Remedy(pip_line(machine, wanted))
    wanted = compatibility.choose_torch_npu(known, None, torch, torch_npu)
    assert wanted is not None  # without a Python, every release fits
    _, last = table.python[".".join(wanted.split(".")[:2])]
    line = pip_line(machine, wanted).replace(
        shlex.join(machine.python.command), "./ascend/bin/python"
    )
    mine = ".".join(map(str, machine.python.line))
    return Remedy(
        f"python{last} -m venv ascend && {line}",
        f"CANN {known} has no torch_npu for Python {mine}, so this makes an environment for {last}",
    )

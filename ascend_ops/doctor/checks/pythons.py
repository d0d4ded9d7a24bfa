"""Several Pythons: which one has the packages, and whether pip installs into the same one."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ..finding import Examination, Remedy
from ..other_pythons import OtherPython, pip_prefix
from ..packages import installed, pip
from ..survey import Survey

_PACKAGES = ("torch", "torch_npu", "ascend_ops")


def examine(survey: Survey) -> Examination:
    """Check the Pythons on PATH, pip, and installs that hide each other."""
    found = Examination("pythons")
    for each in survey.pythons:
        packages = f"has {', '.join(sorted(each.packages))}" if each.packages else ""
        found.fact(
            each.name,
            each.version or each.failure or "not started",
            each.program,
            *filter(None, [packages]),
        )
    _check_first(survey, found)
    _check_pip(survey, found)
    _check_activated(survey, found)
    for name in _PACKAGES[:2]:
        _check_twice(survey, name, found)
    return found


def _same(survey: Survey, other: OtherPython) -> bool:
    mine = os.path.realpath(survey.machine.python.prefix)
    return other.prefix is not None and os.path.realpath(other.prefix) == mine


def _check_first(survey: Survey, found: Examination) -> None:
    """Check that ``python`` is the Python that has torch."""
    first = next((each for each in survey.pythons if each.name == "python"), None)
    first = first or next((each for each in survey.pythons if each.name == "python3"), None)
    if first is None or _same(survey, first) or survey.torch is None:
        return
    mine = survey.machine.python
    if first.failure:
        found.warning(
            "first_fails",
            f"`{first.name}` is {first.program}, which {first.failure}",
            "Commands that begin with it fail.",
            Remedy(f'export PATH="{Path(mine.command[0]).parent}:$PATH"'),
        )
    elif "torch" not in first.packages or (
        survey.torch_npu is not None and "torch_npu" not in first.packages
    ):
        lacks = "torch" if "torch" not in first.packages else "torch_npu"
        found.warning(
            "first_lacks_packages",
            f"`{first.name}` is {first.program} (Python {first.version}) without {lacks}; it is "
            f"installed for {mine.command[0]}",
            "A script that is started with the other Python does not find it.",
            Remedy(f'export PATH="{Path(mine.command[0]).parent}:$PATH"'),
        )


def _check_pip(survey: Survey, found: Examination) -> None:
    named = pip_prefix(survey.machine)
    if named is None:
        return
    program, prefix = named
    if os.path.realpath(prefix) != os.path.realpath(survey.machine.python.prefix):
        found.warning(
            "other_pip",
            f"`pip` is {program}, which installs into {prefix}, but this Python is "
            f"{survey.machine.python.prefix}",
            "What it installs is not found by this Python.",
            Remedy(f"{pip(survey.machine)} install ...", "in place of `pip install ...`"),
        )


def _check_activated(survey: Survey, found: Examination) -> None:
    name = next((n for n in ("VIRTUAL_ENV", "CONDA_PREFIX") if survey.machine.environ.get(n)), "")
    folder = survey.machine.environ.get(name, "")
    prefix = os.path.realpath(survey.machine.python.prefix)
    if folder and os.path.realpath(folder) != prefix:
        kind = "virtual" if name == "VIRTUAL_ENV" else "conda"
        found.warning(
            "not_activated",
            f"the {kind} environment {folder} is activated, but this is the Python of "
            f"{survey.machine.python.prefix}",
            "The packages of the activated environment are not used.",
            Remedy(f"{folder}/bin/python -m ascend_ops doctor", "to examine the other one"),
        )


def _check_twice(survey: Survey, name: str, found: Examination) -> None:
    """Check for two installs of a package: in two folders, or two records in one."""
    installs = installed(survey.machine, name)
    distinct = list(dict.fromkeys((version, os.path.realpath(at)) for version, at in installs))
    if len(distinct) < 2:
        return
    shown = ", ".join(f"{version} in {folder}" for version, folder in distinct)
    user = any(re.search(r"/\.local/lib/python", folder) for _, folder in distinct)
    reason = (
        "Packages in ~/.local hide those of the system; PYTHONNOUSERSITE=1 disables them."
        if user
        else "Files of both may be mixed, and pip reports only one of them."
    )
    times = len(distinct)
    found.warning(
        "twice",
        f"{name} is installed {times} times: {shown}",
        reason,
        Remedy(
            " && ".join([f"{pip(survey.machine)} uninstall -y {name}"] * times),
            "then install it once more",
        ),
    )

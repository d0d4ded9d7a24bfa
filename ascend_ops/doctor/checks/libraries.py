"""What the libraries that libtorch_npu.so needs resolve to."""

from __future__ import annotations

import os
from pathlib import Path

from op_builder import envs

from ..finding import Examination, Remedy
from ..loader import Resolved, library_path
from ..survey import DRIVER_LIBRARY, Survey
from .cann import source_line

_DRIVER = DRIVER_LIBRARY
_DRIVER_FOLDER = "/usr/local/Ascend/driver/lib64"
# The libraries of CANN that libtorch_npu.so needs; the others are of the system or of torch.
_OF_CANN = (
    "libhccl.so",
    "libascendcl.so",
    "libacl_op_compiler.so",
    "libge_runner.so",
    "libgraph.so",
    "libopapi.so",
    "libruntime.so",
    _DRIVER,
)
_STUBS = ("devlib", "stub")


def examine(survey: Survey) -> Examination:
    """Check what the loader would find for torch_npu."""
    found = Examination("libraries")
    if survey.torch_npu is None or survey.machine.is_emulated:
        return found
    resolved = {each.name: each for each in survey.libraries}
    for name in _OF_CANN:
        each = resolved.get(name)
        if each is not None:
            where = survey.machine.shown(each.path) if each.path else "not found"
            found.fact(name, where)
    if survey.is_sourced:
        _check_missing(survey, found)
        _check_other_install(survey, resolved, found)
    _check_driver(survey, resolved.get(_DRIVER), found)
    return found


def _check_missing(survey: Survey, found: Examination) -> None:
    """Report missing libraries; if CANN was not sourced, that is the reason, and is reported."""
    cann = survey.cann
    missing = [each for each in survey.libraries if each.path is None and each.name != _DRIVER]
    if not missing or cann is None:
        return
    names = ", ".join(f"{each.name} (for {each.needed_by.name})" for each in missing[:6])
    foreign = [path for each in missing for path in each.skipped]
    other = f"; found for another architecture: {foreign[0]}" if foreign else ""
    found.broken(
        "missing",
        f"the loader does not find {names}{other}",
        "`import torch_npu` fails with `cannot open shared object file`.",
        Remedy(source_line(survey, cann)),
        Remedy(
            f"bash Ascend-cann-toolkit_{cann.version}_linux-{survey.machine.architecture}.run "
            "--install",
            "the install is damaged or lacks a package",
        ),
    )


def _check_other_install(survey: Survey, resolved: dict[str, Resolved], found: Examination) -> None:
    cann = survey.cann
    if cann is None:
        return
    own = {os.path.realpath(folder) for folder in (*cann.library_dirs, *cann.stub_library_dirs)}
    roots = [each.root for each in survey.all_canns[0] if each.root != cann.root]
    for name in _OF_CANN[:-1]:
        path = resolved[name].path if name in resolved else None
        if path is None or os.path.realpath(path.parent) in own:
            continue
        real = Path(os.path.realpath(path))
        other = next((root for root in roots if real.is_relative_to(root)), None)
        if other is not None:
            found.broken(
                "other_cann",
                f"{name} is loaded from {survey.machine.shown(path)}, but CANN "
                f"{cann.version} in {survey.machine.shown(cann.root)} is the one that was sourced",
                "Libraries of two CANN versions in one process give undefined symbols or crash.",
                Remedy(f"unset {envs.LD_LIBRARY_PATH.name} && {source_line(survey, cann)}"),
            )
            return


def _check_driver(survey: Survey, driver: Resolved | None, found: Examination) -> None:
    real = survey.machine.path(_DRIVER_FOLDER) / _DRIVER
    export = Remedy(
        f"export {envs.LD_LIBRARY_PATH.name}={_DRIVER_FOLDER}:{_DRIVER_FOLDER}/common:"
        f"{_DRIVER_FOLDER}/driver:${envs.LD_LIBRARY_PATH.name}"
    )
    if driver is not None and driver.path is None and survey.nodes and real.exists():
        found.broken(
            "driver_not_searched",
            f"the loader does not find the driver's {_DRIVER}, which is in {_DRIVER_FOLDER}",
            "AscendCL cannot be loaded: `import torch_npu` fails.",
            export,
        )
        return
    stub_first = _stub_before_driver(survey)
    if stub_first is not None and survey.nodes and real.exists():
        found.broken(
            "stub",
            f"the loader finds the stub {survey.machine.shown(stub_first)} before the driver's "
            f"{_DRIVER} in {_DRIVER_FOLDER}",
            "A stub is for linking on machines without a driver; with it, no NPU is found.",
            export,
        )


def _stub_before_driver(survey: Survey) -> Path | None:
    for folder in library_path(survey.machine):
        path = Path(folder, _DRIVER)
        if folder and path.exists():
            parts = Path(os.path.realpath(path)).parts
            return path if any(stub in parts for stub in _STUBS) else None
    return None

"""torch, torch_npu, CANN and Python against the table of known combinations."""

from __future__ import annotations

from op_builder.cann import compatibility
from op_builder.toolchain.torch_install import PackageInstall

from ..finding import Examination, Remedy, Severity
from ..packages import CPU_INDEX, install_line, pip, pip_line
from ..survey import Survey

#: The oldest torch that ascend_ops works with, as in pyproject.toml.
OLDEST_TORCH = (2, 10)
_OTHER_DEVICES = {"cu": "CUDA", "rocm": "ROCm", "xpu": "XPU"}


def examine(survey: Survey) -> Examination:
    """Check the versions, and that torch and torch_npu are installed."""
    found = Examination("versions")
    machine, torch, torch_npu = survey.machine, survey.torch, survey.torch_npu
    found.fact("Python", ".".join(map(str, machine.python.version)), *machine.python.command[:1])
    for name, install in (("torch", torch), ("torch_npu", torch_npu)):
        value = install.version if install else "not installed"
        found.fact(name, value, *([install.root] if install else []))
    if torch is None:
        _no_torch(survey, found)
        return found
    if torch_npu is None:
        _check_no_torch_npu(survey, torch, found)
    _check_table(survey, torch, torch_npu, found)
    _check_oldest(survey, torch, found)
    _check_other_device(survey, torch, found)
    return found


def _no_torch(survey: Survey, found: Examination) -> None:
    machine = survey.machine
    if survey.nodes or survey.cann is not None:
        remedy = install_line(machine, survey.cann.version if survey.cann else None)
    else:
        oldest = ".".join(map(str, OLDEST_TORCH))
        remedy = Remedy(f"{pip(machine)} install 'torch>={oldest}' --index-url {CPU_INDEX}")
    found.broken(
        "no_torch",
        "torch is not installed for this Python",
        "ascend_ops and every framework require it.",
        remedy,
    )


def _check_no_torch_npu(survey: Survey, torch: PackageInstall, found: Examination) -> None:
    if survey.nodes and not survey.machine.is_emulated:
        cann = None if survey.cann is None else survey.cann.version
        found.broken(
            "no_torch_npu",
            "this machine has NPUs, but torch_npu is not installed for this Python",
            "torch has no device `npu` without it.",
            install_line(survey.machine, cann, torch.version),
        )


def _check_table(
    survey: Survey, torch: PackageInstall, torch_npu: PackageInstall | None, found: Examination
) -> None:
    machine = survey.machine
    # The emulated CANN fits any torch_npu, since it is compiled against its headers.
    cann = None if survey.cann is None or machine.is_emulated else survey.cann.version
    version = None if torch_npu is None else torch_npu.version
    for each in compatibility.check(torch.version, version, cann, machine.python.line):
        remedies = []
        if cann is not None and each.torch_npu:
            remedies = [install_line(machine, cann, torch.version, version)]
        elif each.torch_npu:
            remedies = [Remedy(pip_line(machine, each.torch_npu))]
        found.add(
            "mismatch",
            Severity.BROKEN if each.severity == "error" else Severity.WARNING,
            each.problem or each.message,
            "A mismatch shows up as an undefined symbol at `import torch_npu`, or as an internal "
            "error of the first call."
            if each.severity == "error"
            else "This combination is not known to work.",
            remedies,
        )


def _check_oldest(survey: Survey, torch: PackageInstall, found: Examination) -> None:
    if torch.release[:2] >= OLDEST_TORCH:
        return
    wanted = ".".join(map(str, OLDEST_TORCH))
    first = next(
        (str(row.cann) for row in reversed(compatibility.load_table().releases)
         if any(each.startswith(wanted) for each in row.torch_npu)),
        "",
    )  # fmt: skip
    cann = survey.cann.version if survey.cann else None
    fitting = compatibility.choose_torch_npu(cann, survey.machine.python.line) if cann else None
    is_enough = fitting is not None and _line(fitting) >= OLDEST_TORCH
    found.broken(
        "old_torch",
        f"torch {torch.version} is older than {wanted}, the oldest that ascend_ops works with",
        f"Its ops use torch's stable ABI as of {wanted}. For torch_npu {wanted}, CANN {first} or "
        "newer is needed.",
        *([Remedy(pip_line(survey.machine, fitting))] if fitting and is_enough else
          [Remedy(pip_line(survey.machine, f"{wanted}.0"), f"with CANN {first} or newer")]),
    )  # fmt: skip


def _line(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in release.split(".")[:2])


def _check_other_device(survey: Survey, torch: PackageInstall, found: Examination) -> None:
    local = torch.version.partition("+")[2]
    device = next((name for start, name in _OTHER_DEVICES.items() if local.startswith(start)), "")
    if not device or survey.torch_npu is None:
        return
    has_gpu = survey.machine.exists("/dev/nvidia0") or survey.machine.exists("/dev/kfd")
    found.add(
        "other_device",
        Severity.BROKEN if has_gpu else Severity.NOTE,
        f"torch {torch.version} is a build for {device}"
        + (", and this machine has such a device as well as torch_npu" if has_gpu else ""),
        "torch_npu refuses to start beside another accelerator."
        if has_gpu
        else "It works with torch_npu, but takes gigabytes that are not used.",
        [Remedy(pip_line(survey.machine, survey.torch_npu.version))],
    )

"""CANN: all installs, which one wins, and whether its environment was sourced."""

from __future__ import annotations

from op_builder import envs
from op_builder.cann import CannInstall, compatibility
from op_builder.cann.warning import WarningKind

from ..finding import Examination, Remedy, Severity
from ..imports import AUTOLOAD, autoloads
from ..survey import Survey

_DOWNLOAD = "from https://www.hiascend.com/cann/download"
# torch_npu reads these itself and does not search further if they are wrong.
_READ_BY_TORCH_NPU = (envs.ASCEND_HOME_PATH.name, envs.ASCEND_OPP_PATH.name)


def examine(survey: Survey) -> Examination:
    """Check the CANN installs."""
    found = Examination("cann")
    cann = survey.cann
    if survey.machine.is_emulated:
        found.fact("CANN", "emulated", *([cann.root] if cann else []))
        return found
    for each in survey.all_canns[0]:
        wins = ", wins" if cann and each.root == cann.root else ""
        place = f"{survey.machine.shown(each.root)}, {each.kind}, from {each.found_by}{wins}"
        found.fact("CANN", each.version or "unknown version", place)
    if cann is None:
        _missing(survey, found)
        return found
    _check_sourced(survey, cann, found)
    _check_warnings(survey, cann, found)
    if survey.toolkit is None:
        found.warning(
            "runtime_only",
            f"CANN {cann.version} in {survey.machine.shown(cann.root)} has no headers "
            f"({cann.kind}), and no other install has",
            "Programs run, but NPU ops that are not cached cannot be built.",
            *install_remedies(survey),
        )
    return found


def is_needed(survey: Survey) -> bool:
    """Return whether something on this machine needs CANN at run time."""
    return bool(survey.nodes) or (survey.torch_npu is not None and autoloads(survey.machine))


def source_line(survey: Survey, cann: CannInstall) -> str:
    """Return the command that sources an install."""
    script = cann.root / "set_env.sh"
    above = cann.root.parent / "set_env.sh"  # ascend-toolkit/set_env.sh, beside the versions
    chosen = above if not script.exists() and above.exists() else script
    return f"source {survey.machine.shown(chosen)}"


def install_remedies(survey: Survey) -> list[Remedy]:
    """Return how to install the CANN that fits the installed torch_npu."""
    table = compatibility.load_table()
    made_for = table.made_for(survey.torch_npu.version) if survey.torch_npu else []
    wanted = max(made_for or table.canns)
    file = f"Ascend-cann-toolkit_{wanted}_linux-{survey.machine.architecture}.run"
    folder = "cann" if wanted.release_line >= (8, 5) else "ascend-toolkit"
    return [
        Remedy(
            f"bash {file} --install && source /usr/local/Ascend/{folder}/set_env.sh",
            f"{file} {_DOWNLOAD}",
        )
    ]


def _missing(survey: Survey, found: Examination) -> None:
    found.fact("CANN", "not found", *survey.cann_refusals)
    remedies = install_remedies(survey)
    if survey.torch_npu is None and not survey.nodes:
        return  # a machine for the CPU
    foreign = next((text for text in survey.cann_refusals if "but this machine is" in text), "")
    what = "CANN was not found" + (f" for this architecture: {foreign}" if foreign else "")
    if survey.torch_npu is not None and not survey.nodes:
        remedies = [
            *remedies,
            Remedy("ascend-ops emulate -- python train.py", "to use the emulated NPU instead"),
        ]
        if autoloads(survey.machine):
            remedies.append(Remedy(f"export {AUTOLOAD}=0", "to use torch without an NPU"))
    if survey.torch_npu is not None and autoloads(survey.machine):
        why = (
            "`import torch` imports torch_npu, which fails because libhccl.so is missing, and so "
            "does every program that uses torch."
        )
    elif survey.torch_npu is not None:
        why = f"`import torch_npu` fails. {AUTOLOAD}=0 keeps `import torch` working."
    else:
        why = "The NPUs of this machine cannot be used without it."
    severity = Severity.BROKEN if is_needed(survey) else Severity.WARNING
    found.add("missing", severity, what, why, remedies)


def _check_sourced(survey: Survey, cann: CannInstall, found: Examination) -> None:
    where = f"CANN {cann.version or 'of unknown version'} in {survey.machine.shown(cann.root)}"
    if survey.is_sourced:
        if not survey.is_named:
            found.warning(
                "half_sourced",
                f"the loader finds {where}, but {envs.ASCEND_HOME_PATH.name} is not set",
                "torch_npu and CANN's compiler look for operators and tools there.",
                source_line(survey, cann),
            )
        return
    severity = Severity.BROKEN if is_needed(survey) else Severity.NOTE
    why = (
        "The loader does not search its libraries, so that `import torch_npu` fails, and with it "
        "`import torch`. Its environment must be sourced before Python starts."
    )
    if survey.is_named:
        what = (
            f"{cann.found_by} names {where}, but {envs.LD_LIBRARY_PATH.name} does not have its "
            "lib64: its environment was sourced in part, or a program such as sudo dropped the "
            "variable"
        )
        found.add("half_sourced", severity, what, why, [Remedy(source_line(survey, cann))])
    else:
        what = f"{where} is installed (found by {cann.found_by}), but was not sourced"
        found.add("not_sourced", severity, what, why, [Remedy(source_line(survey, cann))])


def _check_warnings(survey: Survey, cann: CannInstall, found: Examination) -> None:
    """Report what the search for CANN itself noticed: stale variables, several installs."""
    for warning in cann.warnings:
        if warning.kind is WarningKind.UNUSABLE_VARIABLE:
            name = warning.variable
            fatal = name in _READ_BY_TORCH_NPU and survey.torch_npu is not None
            found.add(
                "stale_variable",
                Severity.BROKEN if fatal else Severity.WARNING,
                warning,
                "torch_npu reads this variable and does not search further."
                if fatal
                else "Programs that read this variable first find no CANN.",
                [Remedy(f"unset {name} && {source_line(survey, cann)}")],
            )
        elif warning.kind is WarningKind.DISAGREEMENT:
            found.warning(
                "disagreement",
                warning,
                "Programs that search in another order build or run with the other CANN; headers "
                "and libraries of two versions then meet in one process.",
                source_line(survey, cann),
            )
        elif warning.kind is WarningKind.SEVERAL:
            severity = Severity.NOTE if survey.is_sourced else Severity.WARNING
            why = "Nothing names the one that you mean."
            found.add("several", severity, warning, why, [Remedy(source_line(survey, cann))])
        else:
            why = "Versions cannot be compared with torch_npu's."
            found.note("unknown_version", warning, why)

"""What frameworks decide on this machine, and where they disagree."""

from __future__ import annotations

from collections.abc import Mapping

from ..finding import Examination, Remedy
from ..imports import AUTOLOAD, FRAMEWORKS, Answer, autoloads
from ..packages import pip, version
from ..survey import Survey

_LIGHTNING = "lightning"


def examine(survey: Survey) -> Examination:
    """Compare the decisions of the installed frameworks."""
    found = Examination("frameworks")
    answers = survey.imports.decisive
    decisions = {name: answers[name] for name in FRAMEWORKS if name in answers}
    for name, answer in decisions.items():
        installed = version(survey.machine, name) or "unknown version"
        found.fact(f"{name} {installed}", decision(answer), FRAMEWORKS[name], *_detail(answer))
    if not answers or not answers["torch"].is_good:
        return found  # the import of torch is what is broken
    _check_deaths(decisions, found)
    _check_agreement(survey, decisions, found)
    return found


def decision(answer: Answer) -> str:
    """Return ``npu``, another device, ``no npu``, ``error`` or ``died``."""
    if answer.died:
        return "died"
    return "error" if answer.error else str(answer.value)


def _detail(answer: Answer) -> tuple[str, ...]:
    return () if answer.is_good else (str(answer)[:300],)


def _check_deaths(decisions: Mapping[str, Answer], found: Examination) -> None:
    for name, answer in decisions.items():
        if answer.died:
            found.warning(
                "died",
                f"{name} gave no decision: its process {answer.died}",
                "A program that imports it may end or hang in the same way.",
                Remedy(f"python -X faulthandler -c 'import {name}'", "to see where"),
            )


def _check_agreement(survey: Survey, decisions: Mapping[str, Answer], found: Examination) -> None:
    """Report frameworks that disagree; "cpu" and "no npu" are the same decision."""
    kinds = {
        name: {"cpu": "no npu"}.get(decision(answer), decision(answer))
        for name, answer in decisions.items()
        if not answer.died
    }
    others = {name: kind for name, kind in kinds.items() if name != _LIGHTNING}
    has_npu = "npu" in others.values() and _npu_works(survey)
    compared = kinds
    if has_npu and kinds.get(_LIGHTNING) == "no npu":
        found.note(
            "lightning",
            'Lightning does not know NPUs: accelerator="auto" trains on the CPU',
            'Importing ascend_ops.integrations.lightning registers the accelerator "npu".',
            Remedy("import ascend_ops.integrations.lightning", 'then Trainer(accelerator="npu")'),
        )
        compared = others
    if len(set(compared.values())) < 2:
        return
    shown = "; ".join(f"{name}: {_words(decisions[name])}" for name in compared)
    without = "" if survey.imports.without_autoload is None else f" with {AUTOLOAD}=0"
    found.warning(
        "disagreement",
        f"frameworks decide differently whether there is an NPU{without}: {shown}",
        "Parts of one program then use different devices, or one of them fails where the others "
        "fall back to the CPU.",
        *_remedies(survey),
    )


def _npu_works(survey: Survey) -> bool:
    answer = survey.imports.decisive.get("torch_npu")
    return (
        answer is not None
        and isinstance(answer.value, dict)
        and bool(answer.value.get("available"))
    )


def _words(answer: Answer) -> str:
    return f"error ({answer.error[:120]})" if answer.error else str(answer.value)


def _remedies(survey: Survey) -> list[Remedy]:
    """Return how the frameworks agree; on a machine with an NPU, other findings do that."""
    if survey.nodes or survey.torch_npu is None:
        return []
    uninstall = Remedy(f"{pip(survey.machine)} uninstall -y torch_npu", "to compute on the CPU")
    emulate = Remedy("ascend-ops emulate -- python train.py", "to run on the emulated NPU")
    autoload = Remedy(f"export {AUTOLOAD}=0", "`import torch` works; the frameworks still disagree")
    return [uninstall, emulate, *([autoload] if autoloads(survey.machine) else [])]

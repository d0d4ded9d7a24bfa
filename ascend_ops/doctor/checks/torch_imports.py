"""Whether torch and torch_npu can be imported, and whether torch_npu finds the NPUs."""

from __future__ import annotations

import re

from ..finding import Examination, Remedy
from ..imports import AUTOLOAD, Answer
from ..survey import Survey

_OF_CANN = r"lib(?:hccl|ascendcl|acl_op_compiler|ge_runner|graph|opapi)\.so"
# What the error of an import shows, and the families whose findings mend it, the likeliest first.
_MEANINGS = (
    (r"libascend_hal\.so", "the NPU driver's library is not found", "libraries containers devices"),
    (_OF_CANN, "CANN is not loaded", "cann libraries"),
    (r"undefined symbol", "libraries of different versions meet", "versions abi environment cann"),
    (r"GLIBCXX_", "an old libstdc++ is loaded first", "environment abi"),
    (r"GLIBC_2", "the wheel is for a system with a newer C library", "abi"),
    (r"static TLS block", "the thread-local memory of the process is used up", "environment"),
    (r"Two accelerators", "torch is a build for another accelerator", "versions"),
    (r"SIGILL", "the CPU lacks an instruction that a library uses", "abi cpu"),
)
_OTHER_CAUSES = "access libraries cann abi versions environment containers devices"


def examine(survey: Survey) -> Examination:
    """Report what the children could import."""
    found = Examination("imports")
    torch = survey.imports.usual.get("torch")
    if torch is None:
        return found  # not installed
    found.fact("import torch", _shown(torch))
    torch_npu = survey.imports.decisive.get("torch_npu")
    if not torch.is_good:
        _torch_fails(survey, torch, found)
    if torch_npu is not None:
        found.fact("import torch_npu", _shown(torch_npu))
        if torch.is_good and not torch_npu.is_good:
            _torch_npu_fails(survey, torch_npu, found)
        elif torch_npu.is_good:
            _check_devices(survey, torch_npu, found)
    return found


def meaning(text: str) -> str:
    """Return what the text of an error means, or "" if it is not known."""
    return next((meaning for pattern, meaning, _ in _MEANINGS if re.search(pattern, text)), "")


def causes(text: str) -> list[str]:
    """Return the families of which a finding explains an error, the likeliest first."""
    known = next((families for pattern, _, families in _MEANINGS if re.search(pattern, text)), "")
    return [*known.split(), *_OTHER_CAUSES.split()]


def _shown(answer: Answer) -> str:
    if answer.is_good and isinstance(answer.value, dict):
        return ", ".join(f"{name} {value}" for name, value in answer.value.items())
    return str(answer)


def _torch_fails(survey: Survey, torch: Answer, found: Examination) -> None:
    known = meaning(str(torch))
    reason = f" ({known})" if known else ""
    remedies = []
    if "static TLS" in torch.error:
        remedies.append(_preload(torch.error))
    if torch.died:
        what = f"`import torch` {torch.died}{reason}"
        remedies.append(Remedy("python -X faulthandler -c 'import torch'", "to see where"))
    else:
        what = f"`import torch` fails{reason}: {torch.error[:600]}"
    other = survey.imports.without_autoload
    if other is not None and other["torch"].is_good:
        what += f"; with {AUTOLOAD}=0 it works"
        remedies.append(Remedy(f"export {AUTOLOAD}=0", "to use torch without an NPU until then"))
    found.broken("torch", what, "Every program that uses torch fails.", *remedies)


def _torch_npu_fails(survey: Survey, torch_npu: Answer, found: Examination) -> None:
    known = meaning(str(torch_npu))
    reason = f" ({known})" if known else ""
    text = torch_npu.died or f"fails{reason}: {torch_npu.error[:600]}"
    add = found.broken if survey.nodes else found.warning
    remedies = [_preload(torch_npu.error)] if "static TLS" in torch_npu.error else []
    add("torch_npu", f"`import torch_npu` {text}", "torch has no device `npu`.", *remedies)


def _preload(error: str) -> Remedy:
    """Return the usual cure of an exhausted TLS block: load the library first."""
    named = re.search(r"(/\S+\.so[\w.]*)", error)
    return Remedy(f"export LD_PRELOAD={named[1] if named else 'libgomp.so.1'}")


def _check_devices(survey: Survey, torch_npu: Answer, found: Examination) -> None:
    value = torch_npu.value if isinstance(torch_npu.value, dict) else {}
    devices = value.get("devices", 0)
    if survey.nodes and not devices:
        found.broken(
            "no_device",
            f"torch_npu finds no NPU, but this machine has {len(survey.nodes)} device node(s)",
            "`torch.npu.is_available()` is False; programs that request an NPU fail.",
            Remedy("npu-smi info", "to see whether the driver reaches them"),
            Remedy(
                "ASCEND_GLOBAL_LOG_LEVEL=1 ASCEND_SLOG_PRINT_TO_STDOUT=1 python -c "
                "'import torch, torch_npu; torch.npu.set_device(0)'",
                "for CANN's log",
            ),
        )

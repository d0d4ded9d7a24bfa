"""``import torch`` and ``import torch_npu``, and what frameworks decide, probed in children.

torch_npu without CANN makes ``import torch`` itself fail, and a mismatched one may crash, so the
doctor imports neither. A child that hangs is ended at the time limit; its answer is then that.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .machine import Machine
from .packages import is_importable

#: The frameworks, by the names of their packages, and what each of them decides with.
FRAMEWORKS = {
    "transformers": "is_torch_npu_available()",
    "accelerate": "is_npu_available()",
    "diffusers": "is_torch_npu_available()",
    "deepspeed": "get_accelerator().device_name()",
    "lightning": 'accelerator="auto"',
}
AUTOLOAD = "TORCH_DEVICE_BACKEND_AUTOLOAD"

_SCRIPT = Path(__file__).with_name("probe_script.py")
_LAST_SECONDS = 1.0


@dataclass(frozen=True)
class Answer:
    """What a probe answered: a value, an error, or how it died without an answer."""

    value: Any = None
    error: str = ""
    died: str = ""
    seconds: float = 0.0

    @property
    def is_good(self) -> bool:
        """Whether there is a value."""
        return not self.error and not self.died

    def __str__(self) -> str:
        return self.error or (f"its process {self.died}" if self.died else str(self.value))


@dataclass(frozen=True)
class Imports:
    """The answers by name: ``torch``, ``torch_npu`` and the frameworks.

    Attributes:
        usual: As programs of this user would get them.
        without_autoload: If torch cannot be imported because of torch_npu, the answers with
            TORCH_DEVICE_BACKEND_AUTOLOAD=0.
    """

    usual: Mapping[str, Answer]
    without_autoload: Mapping[str, Answer] | None = None

    @property
    def decisive(self) -> Mapping[str, Answer]:
        """The answers in which frameworks can be compared."""
        return self.usual if self.without_autoload is None else self.without_autoload


def autoloads(machine: Machine) -> bool:
    """Return whether ``import torch`` imports torch_npu, if it is installed."""
    return machine.environ.get(AUTOLOAD, "1") == "1"


def probe(machine: Machine) -> Imports:
    """Let children import torch, torch_npu and the decisions of the installed frameworks."""
    if not is_importable(machine, "torch"):
        return Imports({})
    names = [name for name in ("torch_npu", *FRAMEWORKS) if is_importable(machine, name)]
    usual = _answers(machine, names)
    if usual["torch"].is_good or "torch_npu" not in names or not autoloads(machine):
        return Imports(usual)
    other = replace(machine, environ={**machine.environ, AUTOLOAD: "0"})
    return Imports(usual, _answers(other, names))


def _answers(machine: Machine, names: Sequence[str]) -> dict[str, Answer]:
    """Return an answer for each name; those that died in one process get one of their own."""
    found = _query(machine, names)
    if not found["torch"].is_good:
        return dict.fromkeys(("torch", *names), found["torch"])
    lost = [name for name in names if found[name].died]
    if lost:
        with ThreadPoolExecutor(len(lost)) as pool:
            again = pool.map(lambda name: _query(machine, [name])[name], lost)
            found.update(zip(lost, again, strict=True))
    return found


def _query(machine: Machine, names: Sequence[str]) -> dict[str, Answer]:
    script = _SCRIPT.read_text(encoding="utf-8")
    limit = max(machine.patience - _LAST_SECONDS, machine.patience / 2)
    command = [*machine.python.command, "-c", script, f"{limit:g}", *names]
    ran = machine.run(command, merge=False)
    found: dict[str, Answer] = {}
    for line in ran.output.splitlines():
        try:
            content = json.loads(line)
            found[content["probe"]] = Answer(
                content.get("answer"),
                str(content.get("error", "")),
                str(content.get("died", "")),
                float(content.get("seconds", 0.0)),
            )
        except (ValueError, TypeError, KeyError, AttributeError):
            continue  # something that a package printed
    missing = Answer(died=ran.failure or "ended without an answer")
    return {name: found.get(name, missing) for name in ("torch", *names)}

"""What the emulated CANN covers: each function of CANN, its state, its check and its limits."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from op_builder.ops.emulator import ACL_HEADERS, HCCL_HEADERS
from op_builder.ops.own_op import OwnOp
from op_builder.system import process
from op_builder.system.elf import read_library
from op_builder.toolchain.torch_install import find_torch_npu

from .absent_functions import NOT_EMULATED
from .aclnn_headers import documented_headers
from .cann_folder import EmulatedCann
from .declarations import read_declarations
from .single_operators import ABSENT, EMULATED

STATES = ("emulated", "refused", "absent")
#: Prints a JSON object of the functions that tests check; only a checkout of the sources has it.
_CHECKS = Path(__file__).resolve().parents[2] / "tests" / "emulator" / "list_checks.py"
_REFUSED_FUNCTIONS = Path("emulator", "runtime", "api", "refused_functions.inc")
_DECLARATION = re.compile(
    r"^(?:ACL_FUNC_VISIBILITY|extern)\s[^;{}()]*?\b((?:acl|Hccl)\w+)\s*\(", re.MULTILINE
)


@dataclass(frozen=True)
class Coverage:
    """One function of CANN, or one name of a single operator.

    Attributes:
        name: CANN's name.
        state: ``emulated``, ``refused`` if a call fails with a message, or ``absent``.
        in_torch_npu: Whether the installed torch_npu can call it.
        check: What checks it; "" if nothing does, or if this is not a checkout.
        limits: What is not emulated of it, or why it is refused or absent.
    """

    name: str
    state: str
    in_torch_npu: bool
    check: str = ""
    limits: str = ""


def coverage(cann: EmulatedCann) -> dict[str, list[Coverage]]:
    """Return the coverage of the aclnn functions, of single operators and of the runtime.

    Args:
        cann: The emulated CANN to describe.

    Raises:
        CommandError: The libraries or the list of checks cannot be read.
    """
    checks = _checks()
    package = find_torch_npu()
    assert package is not None  # the emulated CANN requires it
    return {
        "aclnn": _aclnn(cann, package.root, checks),
        "aclop": _aclop(checks),
        "runtime": _runtime(cann, package.root, checks),
    }


def counts(rows: Iterable[Coverage]) -> dict[str, int]:
    """Return how many functions are in each state."""
    found = Counter(row.state for row in rows)
    return {state: found[state] for state in STATES}


def _checks() -> Mapping[str, str]:
    if not _CHECKS.is_file():
        return {}
    text = process.run([process.interpreter(), str(_CHECKS)], stdout_only=True)
    found: dict[str, str] = json.loads(text)
    return found


def _aclnn(cann: EmulatedCann, torch_npu: Path, checks: Mapping[str, str]) -> list[Coverage]:
    emulated = {each.name: each for each in read_declarations(cann.library_dir / "libopapi.so")}
    known = {name for names in documented_headers().values() for name in names}
    called = _called_by_torch_npu(torch_npu)
    rows = []
    for name in sorted(known | called | set(emulated)):
        function = emulated.get(name)
        refused = [] if function is None else function.refused
        rows.append(
            Coverage(
                name,
                "absent" if function is None else "emulated",
                name in called,
                checks.get(name, "") if function is not None else "",
                f"without {', '.join(refused)}" if refused else NOT_EMULATED.get(name, ""),
            )
        )
    return rows


def _called_by_torch_npu(torch_npu: Path) -> set[str]:
    """Return the functions that torch_npu looks up: both names of each are among its strings."""
    pattern = re.compile(rb"\0(aclnn[A-Z]\w+)GetWorkspaceSize(?=\0)")
    libraries = sorted((torch_npu / "lib").glob("*.so"))
    return {name.decode() for file in libraries for name in pattern.findall(file.read_bytes())}


def _aclop(checks: Mapping[str, str]) -> list[Coverage]:
    rows = [Coverage(name, "emulated", True, checks.get(name, "")) for name in EMULATED]
    rows += [Coverage(name, "absent", True, "", reason) for name, reason in ABSENT.items()]
    return sorted(rows, key=lambda row: row.name)


def _runtime(cann: EmulatedCann, torch_npu: Path, checks: Mapping[str, str]) -> list[Coverage]:
    headers = [torch_npu / folder for folder in (ACL_HEADERS / "acl", HCCL_HEADERS / "hccl")]
    declared = {
        name
        for folder in headers
        for file in folder.rglob("*.h")
        for name in _DECLARATION.findall(file.read_text(encoding="utf-8", errors="replace"))
    }
    libraries = filter(None, map(read_library, cann.libraries))
    defined = {name for library in libraries for name in library.defined}
    called = {
        name
        for file in (torch_npu / "lib").glob("*.so")
        if (library := read_library(file)) is not None
        for name in library.undefined
    }
    reasons = _reasons()
    return [
        Coverage(
            name,
            state := _state(name in defined, name in reasons),
            name in called,
            checks.get(name, "") if state == "emulated" else "",
            reasons.get(name, ""),
        )
        for name in sorted(declared)
    ]


def _state(is_exported: bool, has_reason: bool) -> str:
    if not is_exported:
        return "absent"
    return "refused" if has_reason else "emulated"


def _reasons() -> dict[str, str]:
    """Return why functions are refused or absent, from the table that the library is built from."""
    text = (OwnOp().source_root() / _REFUSED_FUNCTIONS).read_text(encoding="utf-8")
    reasons = dict(re.findall(r'^REASON\((\w+), "(.+)"\)$', text, re.M))
    rows = re.findall(r"^(?:REFUSED\([^,]+, |ABSENT\()(\w+), (\w+)\)$", text, re.M)
    return {function: reasons[reason] for function, reason in rows}

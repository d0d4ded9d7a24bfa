"""``ascend-ops doctor`` on fake machines: the findings of the table, and no others."""

from __future__ import annotations

from pathlib import Path

import fake_machines as fakes
import pytest
from doctor_cases import CASES, Case, by_name, root_of

from ascend_ops.doctor import Finding, Report, examine


def examined(case: Case, root: Path) -> Report:
    fake = fakes.healthy(root, case.architecture)
    case.change(fake)
    return examine(fake.machine)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_findings(case: Case, tmp_path: Path) -> None:
    report = examined(case, tmp_path)
    found = {finding.check: finding for finding in report.findings}
    assert set(found) == case.findings, [f"{f.check}: {f.what}" for f in report.findings]
    assert report.exit_code == case.exit_code
    commands = ["", *(remedy.command for finding in report.findings for remedy in finding.remedies)]
    assert any(root_of(case, tmp_path) in command for command in commands), commands
    assert any(case.shows in finding.what for finding in report.findings) or not case.shows
    for finding in report.findings:
        check_form(finding)


def check_form(finding: Finding) -> None:
    """Every finding has a reason that is a sentence, and one that is not a note has a remedy."""
    assert finding.why.endswith((".", "device.")), finding
    assert finding.what[-1:] != ".", finding
    assert all(remedy.command.strip() for remedy in finding.remedies)


def test_there_are_enough_machines_and_each_check_has_one() -> None:
    assert len(CASES) >= 25
    assert len({case.name for case in CASES}) == len(CASES)


def findings_of(name: str, root: Path) -> dict[str, Finding]:
    return {finding.check: finding for finding in examined(by_name(name), root).findings}


def test_with_torch_npu_and_no_cann_the_frameworks_answers_are_shown(tmp_path: Path) -> None:
    found = findings_of("torch_npu_without_cann", tmp_path)
    text = found["frameworks.disagreement"].what
    assert "with TORCH_DEVICE_BACKEND_AUTOLOAD=0: " in text
    assert "transformers: error (ImportError: libhccl.so" in text
    assert "accelerate: no npu; diffusers: npu; deepspeed: cpu; lightning: cpu" in text
    assert "; with TORCH_DEVICE_BACKEND_AUTOLOAD=0 it works" in found["imports.torch"].what


def test_a_failing_import_gets_the_remedy_of_its_cause(tmp_path: Path) -> None:
    found = findings_of("sudo_dropped_the_library_path", tmp_path)
    assert found["frameworks.disagreement"].remedies == found["cann.half_sourced"].remedies

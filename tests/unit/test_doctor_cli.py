"""``ascend-ops doctor``: output, exit codes, JSON, the bundle; torch is never imported here."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import fake_machines as fakes
import pytest
from command_line import CommandLine
from doctor_cases import by_name
from fake_machines import FakeMachine

import ascend_ops.doctor
from ascend_ops.doctor import Machine, bundle, examine
from ascend_ops.doctor.checks import cpu


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeMachine:
    """Provide a healthy machine, on which the program then runs."""
    made = fakes.healthy(tmp_path / "machine")

    def this_machine(patience: float) -> Machine:
        made.patience = patience
        return made.machine

    monkeypatch.setattr(ascend_ops.doctor, "this_machine", this_machine)
    return made


def test_a_healthy_machine(command_line: CommandLine, fake: FakeMachine) -> None:
    done = command_line("doctor")
    assert done.status == 0
    assert "nothing is wrong" in done.out
    assert "What frameworks decide" in done.out
    assert "transformers 1.2.3" in done.out


@pytest.mark.parametrize(
    ("name", "status", "text"),
    [
        ("no_npu_smi", 1, "usable, with warnings"),
        ("not_sourced", 2, "broken"),
    ],
)
def test_exit_codes(
    command_line: CommandLine, fake: FakeMachine, name: str, status: int, text: str
) -> None:
    by_name(name).change(fake)
    done = command_line("doctor")
    assert done.status == status
    assert text in done.out.splitlines()[0]


def test_a_command_stays_on_one_line(command_line: CommandLine, fake: FakeMachine) -> None:
    by_name("container_with_missing_mounts").change(fake)
    lines = [line.strip() for line in command_line("doctor").out.splitlines()]
    (command,) = [line for line in lines if line.startswith("docker run")]
    assert command.endswith("IMAGE")
    assert len(command) > 200


def test_the_worst_findings_come_first(command_line: CommandLine, fake: FakeMachine) -> None:
    by_name("home_is_on_nfs").change(fake)
    by_name("not_in_the_group").change(fake)
    by_name("no_npu_smi").change(fake)
    findings = command_line("doctor", "--json").json["findings"]
    severities = [finding["severity"] for finding in findings]
    assert severities == sorted(severities, key=["broken", "warning", "note"].index)
    assert {"broken", "warning", "note"} == set(severities)


def test_json(command_line: CommandLine, fake: FakeMachine) -> None:
    by_name("not_in_the_group").change(fake)
    content = command_line("doctor", "--json").json
    assert (content["exit_code"], content["status"]) == (2, "broken")
    finding = content["findings"][0]
    assert finding["check"] == "access.denied"
    assert set(finding) == {"check", "severity", "what", "why", "remedies"}
    assert finding["remedies"][0]["command"].startswith("sudo usermod")
    facts = {(fact["family"], fact["name"]): fact["value"] for fact in content["facts"]}
    assert facts["devices", "NPUs"] == "2"
    assert facts["devices", "npu-smi"] == "25.3.rc1"
    assert facts["cann", "CANN"] == "9.1.0"
    assert facts["frameworks", "diffusers 1.2.3"] == "npu"


def test_all_prints_every_fact(command_line: CommandLine, fake: FakeMachine) -> None:
    out = command_line("doctor", "--all").text
    for text in ("25.3.rc1", "libhccl.so", "gcc 13.2.0", "avx512f", "glibc 2.34"):
        assert text in out


def test_the_wrong_command_line_is_refused(command_line: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "train.py"
    file.write_text("important")
    done = command_line("doctor", "--bundle", file)
    assert done.status == 2
    assert "must not exist yet" in " ".join(done.err.split())
    assert file.read_text() == "important"
    assert command_line("doctor", "--timeout", 0).status == 2


def test_the_bundle_has_everything_and_no_secret(
    command_line: CommandLine, fake: FakeMachine, tmp_path: Path
) -> None:
    fake.environ.update(
        HF_TOKEN="hf_abcdefghijklmnopqrstuvwxyz",
        ASCEND_OPS_REMOTE_CACHE="https://someone:hunter22@cache.example/ops?token=abcdef123456",
        ASCEND_OPS_PASSWORD="correct horse battery",
        USER="someone",
    )
    fake.script(
        "/usr/local/bin/npu-smi", "echo mail someone@example.com, correct horse battery", "exit 1"
    )
    file = tmp_path / "doctor.md"
    done = command_line("doctor", "--bundle", file)
    assert done.status == 2
    assert str(file) in done.out
    text = file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for secret in ("hf_abc", "hunter22", "abcdef123456", "correct horse", "someone@"):
        assert secret not in text
    assert str(fake.home) not in text
    assert "someone" not in text
    assert os.uname().nodename not in text
    for part in (
        "devices.npu_smi_fails",
        "ASCEND_HOME_PATH=",
        "torch_npu 2.12.0",
        "~/.cache/ascend_ops",
        "ascend-ops report --json",
        '"components"',
        "frameworks: deepspeed 1.2.3: npu",
        "exited with status 1",
        "1 broken, 0 warnings, 1 notes; exit code 2",
    ):
        assert part in text


def test_a_bundle_that_cannot_be_written(command_line: CommandLine, fake: FakeMachine) -> None:
    done = command_line("doctor", "--bundle", "/proc/none/doctor.md")
    assert done.status == 1
    assert "/proc/none/doctor.md cannot be written" in done.err


def test_a_check_that_fails_is_a_finding(
    fake: FakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(survey: object) -> Any:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(cpu, "examine", fails)
    report = examine(fake.machine)
    (finding,) = [each for each in report.findings if each.check == "cpu.failed"]
    assert "ZeroDivisionError: by zero" in finding.what
    assert report.exit_code == 1
    assert any(each.family == "memory" and each.facts for each in report.examinations)


def test_no_process_can_be_started_and_the_doctor_answers(fake: FakeMachine) -> None:
    """Every child dies: Python, npu-smi and the compiler are not programs."""
    for program in ("usr/local/bin/npu-smi", "usr/bin/g++", "usr/bin/ninja"):
        (fake.root / program).write_text("not a program")
    machine = fake.machine
    python = type(machine.python)(**{**vars(machine.python), "command": ("/no/such/python",)})
    report = examine(Machine(**{**vars(machine), "python": python}))
    found = {finding.check: finding for finding in report.findings}
    assert {"imports.torch", "devices.npu_smi_fails", "compiler.missing"} <= set(found)
    assert "could not be run" in found["imports.torch"].what
    assert report.exit_code == 2
    assert bundle.render(machine, report)


def test_torch_is_not_imported_by_the_doctor_itself() -> None:
    """Its own process imports neither torch nor a framework, and reports both."""
    code = (
        "import sys\n"
        "from ascend_ops.doctor import examine, this_machine\n"
        "report = examine(this_machine(60))\n"
        "names = {'torch', 'torch_npu', 'transformers', 'deepspeed', 'numpy'}\n"
        "import json; print(json.dumps([sorted(names & set(sys.modules)), report.exit_code,"
        " [fact.name for each in report.examinations for fact in each.facts]]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    imported, exit_code, facts = json.loads(done.stdout)
    assert imported == []
    assert exit_code in (0, 1, 2)
    assert {"import torch", "C++ compiler", "CPU"} <= set(facts)

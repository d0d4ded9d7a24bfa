"""Tables and plots of records, and the errors of the command before it measures."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from ascend_ops.cli import bench
from ascend_ops.cli.main import app
from benchmarks import cases, plots, tables
from benchmarks.cases import LoadCase, StepCase
from benchmarks.records import Absence, CrossCount, Record, Report, records_of

PNG = b"\x89PNG\r\n\x1a\n"
MACHINE = {
    "cpu": "Kunpeng 920",
    "isa": "neon",
    "threads": 48,
    "cores": 96,
    "torch": "2.13.0",
    "virtual_machine": False,
    "emulated": False,
    "load_average_at_start": 0.2,
    "started": "2026-01-31T10:00:00+00:00",
}


def made_up_records() -> list[Record]:
    """Return records of every case, with a peer that is half as fast."""
    found = []
    for case in cases.select(cases.adam_cases(), []):
        if isinstance(case, StepCase):
            second = case.bytes / 50e9 + 2e-6
            samples = {"limit": [second], "limit, blocked": [0.95 * second, 0.9 * second]}
            samples |= {"ascend_ops": [1.02 * second] * 7, "torch fused": [2 * second] * 7}
        else:
            samples = {"ascend_ops": [0.003, 0.004], "deepspeed": [30.0, 40.0]}
        found += records_of("adam", case, samples, {"ascend_ops": {"subprocesses": 0}})
    return found


@pytest.fixture
def report() -> Report:
    absences = [Absence("adam", "fp32, 64 Mi", "deepspeed", "not installed")]
    return Report("adam", False, MACHINE, made_up_records(), absences)


@pytest.fixture
def optimizers() -> Report:
    found = []
    for case in cases.optimizer_cases():
        assert isinstance(case, StepCase)
        second = case.bytes / 50e9
        samples = {"limit": [second] * 7, "limit, blocked": [0.95 * second] * 7}
        samples |= {"ascend_ops": [1.02 * second] * 7, "ascend_ops, avx2": [1.03 * second] * 7}
        samples |= {"torch fused": [2 * second] * 7, "never seen": [3 * second] * 7}
        counts = {"ascend_ops, avx2": {"instructions_per_element": 3.125}}
        found += records_of("optimizers", case, samples, counts)
    reason = "instructions: valgrind does not support avx512"
    absences = [Absence("optimizers", found[0].case, "ascend_ops", reason)]
    return Report("optimizers", False, MACHINE, found, absences)


def text_of(report: Report) -> str:
    console = Console(width=118, record=True, file=open(os.devnull, "w"))  # noqa: PTH123, SIM115
    console.print(tables.render(report))
    return console.export_text()


def test_instructions_on_another_cpu_are_compared_with_the_peer(optimizers: Report) -> None:
    counts = [
        CrossCount("AdamW fp32, 64 Mi", "ascend_ops", "neon, neoverse-n1", 3.25),
        CrossCount("AdamW fp32, 64 Mi", "deepspeed", "neon, neoverse-n1", 4.5),
        CrossCount("Lion fp32, 64 Mi", "ascend_ops", "neon, neoverse-n1", 2.125),
    ]
    report = Report.from_json(replace(optimizers, cross_counts=counts).to_json())
    assert report.cross_counts == counts
    lines = [line.split() for line in text_of(report).splitlines() if "neoverse" in line]
    assert [line[-3:] for line in lines] == [
        ["3.25", "4.50", "1.38"],
        ["neon,", "neoverse-n1", "2.12"],
    ]


def test_the_table_has_every_figure_and_every_absence(report: Report) -> None:
    text = text_of(report)
    for record in report.records:
        assert record.case in text
        assert cases.format_seconds(record.median_s) in text
    assert "deepspeed: not installed" in text
    assert "0.98 (0.98-0.98)" in text
    assert "processes: 0" in text
    assert "\N{HORIZONTAL ELLIPSIS}" not in text  # no text is cut off


def test_text_and_plots_describe_the_machine(report: Report) -> None:
    assert "Kunpeng 920, 48 of 96 cores, neon" in text_of(report)
    assert "real CPU, bare metal" in text_of(report)
    emulated = replace(report, machine={**MACHINE, "emulated": True}, quick=True)
    assert "EMULATED DEVICE: not a device's speed" in text_of(emulated)
    assert "real CPU" not in text_of(emulated)
    assert "QUICK RUN" in tables.circumstances(emulated)


def test_steps_sizes_and_loads_have_a_plot_each(report: Report, tmp_path: Path) -> None:
    written = plots.draw(report, tmp_path)
    assert [path.name for path in written] == [
        "adam-steps.png",
        "adam-sizes.png",
        "adam-loads.png",
    ]
    for path in written:
        assert path.read_bytes().startswith(PNG)
        assert path.stat().st_size > 10_000


def test_optimizers_have_a_roofline_and_a_column_of_instructions(
    optimizers: Report, tmp_path: Path
) -> None:
    written = plots.draw(optimizers, tmp_path)
    assert [path.name for path in written] == ["optimizers-steps.png", "optimizers-roofline.png"]
    assert all(path.stat().st_size > 10_000 for path in written)
    text = text_of(optimizers)
    assert "instr." in text
    assert "3.12" in text
    assert text.count("ascend_ops: no instructions: valgrind does not support avx512") == 1
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 100
    assert "\N{HORIZONTAL ELLIPSIS}" not in text


def test_a_table_without_instructions_has_no_column_of_them(report: Report) -> None:
    assert "instr." not in text_of(report)


def test_a_report_without_loads_or_sizes_has_no_plot_of_them(
    report: Report, tmp_path: Path
) -> None:
    steps = [record for record in report.records if record.selector == "bf16"]
    assert [path.name for path in plots.draw(replace(report, records=steps), tmp_path)] == [
        "adam-steps.png"
    ]
    assert plots.draw(replace(report, records=[]), tmp_path) == []


def test_an_unknown_implementation_is_drawn_too(report: Report, tmp_path: Path) -> None:
    renamed = [replace(r, impl="new" if r.impl == "ascend_ops" else r.impl) for r in report.records]
    assert len(plots.draw(replace(report, records=renamed), tmp_path)) == 3


def test_each_bench_lists_its_own_cases() -> None:
    outcome = CliRunner().invoke(app, ["bench", "optimizers", "--case", "fp64"])
    assert outcome.exit_code == 2
    assert "adagrad" in outcome.output
    assert "load-cold" not in outcome.output


def test_bench_all_runs_every_bench_and_measures_no_load_twice() -> None:
    assert set(bench._ALL) == set(cases.BENCHES)
    loads = [
        case.name
        for name, patterns in bench._ALL.items()
        for case in cases.select(cases.BENCHES[name](), patterns or [])
        if isinstance(case, LoadCase)
    ]
    assert len(loads) == len(set(loads))


def test_an_unknown_case_is_a_wrong_command_line_and_lists_the_cases() -> None:
    outcome = CliRunner().invoke(app, ["bench", "adam", "--case", "fp64"])
    assert outcome.exit_code == 2
    assert "load-cold" in outcome.output
    assert "many-tensors" in outcome.output


def test_an_unwritable_file_is_an_error_before_anything_is_measured(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for option in ("--json", "--plot"):
        command = ["bench", "adam", option, str(tmp_path / "file" / "out")]
        outcome = CliRunner().invoke(app, command)
        assert outcome.exit_code == 1
        assert "cannot be written" in outcome.output
        assert str(tmp_path) in outcome.output.replace("\n", "")


def test_another_package_called_benchmarks_is_never_taken(tmp_path: Path) -> None:
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "__init__.py").write_text("raise SystemExit('the wrong one')\n")
    root = str(Path(cases.__file__).parents[1])
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), root])}
    code = "from ascend_ops.cli.main import run; run()"
    done = subprocess.run(
        [sys.executable, "-c", code, "bench", "adam", "--case", "nonsense"],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "the wrong one" in done.stderr) == (2, False), done.stderr

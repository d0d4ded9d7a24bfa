"""Two runs compared, reports as Markdown, and peers that do not answer."""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ascend_ops.cli.main import app
from benchmarks import tables
from benchmarks.cases import LoadCase
from benchmarks.compare import Change, caveats, compare
from benchmarks.markdown import page, section
from benchmarks.measure import AbsentError, interleave
from benchmarks.records import Absence, Report, records_of
from op_builder.errors import CommandError

scipy = pytest.importorskip("scipy")

MACHINE = {
    "cpu": "Kunpeng 920",
    "isa": "neon",
    "threads": 48,
    "cores": 96,
    "usable_cores": 96,
    "governor": None,
    "torch": "2.13.0",
    "virtual_machine": False,
    "emulated": False,
    "load_average_at_start": 0.2,
    "started": "2026-01-31T10:00:00+00:00",
    "versions": {"deepspeed": "0.19.8"},
}


def report(times: dict[str, Sequence[float]], **machine: object) -> Report:
    """Return a report with a case for each name, with our samples beside one of DeepSpeed's."""
    records = []
    for name, samples in times.items():
        case = LoadCase(name, name, "at most 3 ms")
        records += records_of(
            "cache", case, {"ascend_ops": samples, "deepspeed": [1.0] * len(samples)}
        )
    return Report("cache", False, {**MACHINE, **machine}, records)


def around(median: float, seed: int, runs: int = 21) -> list[float]:
    noise = random.Random(seed)
    return [median * noise.uniform(0.95, 1.05) for _ in range(runs)]


def ours(changes: Sequence[Change]) -> dict[str, Change]:
    return {change.case: change for change in changes if change.impl == "ascend_ops"}


def test_a_change_beyond_the_spread_is_told_from_one_within_it() -> None:
    old = report({"same": around(1, 1), "slower": around(1, 2), "faster": around(1, 3)})
    new = report({"same": around(1, 4), "slower": around(1.2, 5), "faster": around(0.8, 6)})
    found = ours(compare(old, new))
    assert found["same"].verdict == "no significant change"
    assert found["slower"].verdict == "slower"
    assert found["faster"].verdict == "faster"
    assert found["slower"].ratio == pytest.approx(1.2, rel=0.05)
    assert found["slower"].p is not None
    assert found["slower"].p < 1e-4


def test_two_runs_of_the_same_code_rarely_differ() -> None:
    """Of 200 pairs of runs with 10 figures each, at most a few have any that differs."""
    different = 0
    for number in range(200):
        names = [f"case {index}" for index in range(10)]
        old, new = (
            report(
                {name: around(1, zlib.crc32(f"{number} {name} {run}".encode())) for name in names}
            )
            for run in ("old", "new")
        )
        different += any("significant" not in change.verdict for change in compare(old, new))
    assert different <= 10


def test_a_tiny_certain_change_is_not_reported() -> None:
    old, new = report({"case": [1.0] * 21}), report({"case": [1.001] * 21})
    assert ours(compare(old, new))["case"].verdict == "no significant change"


def test_one_sample_decides_nothing() -> None:
    old, new = report({"case": [1.0]}), report({"case": [3.0]})
    assert ours(compare(old, new))["case"].verdict == "too few samples"


def test_only_figures_of_both_runs_are_compared() -> None:
    assert compare(report({"old": [1.0] * 7}), report({"new": [1.0] * 7})) == []


def test_other_circumstances_are_named() -> None:
    old = report({"case": [1.0]})
    new = report({"case": [1.0]}, cpu="Kunpeng 930", load_average_at_start=3.0)
    found = caveats(old, new)
    assert "cpu: Kunpeng 920, now Kunpeng 930" in found
    assert "load average at the start: 0.2, now 3.0" in found
    assert caveats(old, old) == []
    assert any("quick" in caveat for caveat in caveats(old, replace(old, quick=True)))


def test_samples_survive_the_file() -> None:
    written = report({"case": around(1, 1)})
    read = Report.from_json(written.to_json())
    assert list(read.records[0].samples_s) == pytest.approx(around(1, 1), rel=1e-5)
    assert ours(compare(written, read))["case"].p == pytest.approx(1)


def test_the_page_has_each_figure_and_its_command() -> None:
    found = report({"warm load": around(0.004, 1)})
    absent = Absence("cache", "warm load", "torch", "took longer than 600 s; more\nlines")
    text = page([replace(found, absences=[absent])])
    assert "`ascend-ops bench cache --case warm load`" in text
    assert re.search(r"\| warm load \| \*\*ascend_ops\*\* \| [34]\.\d\d ms \(3\.8", text)
    assert "target at most 3 ms" in text
    assert "(deepspeed)" in text
    assert "- warm load, torch: took longer than 600 s; more" in text
    assert "lines" not in text
    assert "Kunpeng 920, 48 of 96 cores" in text


def test_each_row_of_an_emulated_device_is_labelled() -> None:
    found = report({"add": around(1e-5, 1)}, emulated=True)
    text = section(found)
    rows = [line for line in text.splitlines() if line.startswith("| add")]
    assert len(rows) == 2
    assert all("(emulated)" in row for row in rows)
    assert "EMULATED DEVICE" in text
    labelled = tables._labelled(found)
    assert all(record.impl.endswith("(emulated)") for record in labelled.records)


def test_a_peer_that_hangs_has_a_row_with_the_reason_and_the_others_go_on() -> None:
    from benchmarks.peers import why_absent

    def hangs() -> float:
        error = CommandError(["python"], None, "", 600.0)
        raise AbsentError(why_absent(error))

    absent: dict[str, str] = {}
    samples = interleave({"ours": lambda: 1.0, "theirs": hangs}, 3, absent=absent)
    assert samples == {"ours": [1.0] * 3}
    assert absent["theirs"].startswith("took longer than 600 s; DeepSpeed waits for ever")
    assert "TORCH_EXTENSIONS_DIR" in absent["theirs"]
    with pytest.raises(AbsentError):
        interleave({"theirs": hangs}, 1)


def test_a_peer_that_fails_shows_its_last_line() -> None:
    from benchmarks.peers import why_absent

    error = CommandError(["python"], 1, "Traceback\nImportError: no ninja\n")
    assert why_absent(error) == "failed: ImportError: no ninja"


def test_a_peer_that_hangs_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks import peers

    started: list[Sequence[str]] = []

    def hangs(command: Sequence[str], **_: object) -> str:
        started.append(command)
        raise CommandError(command, None, "", 600.0)

    monkeypatch.setattr(peers.process, "run", hangs)
    peers._why_not_built.cache_clear()
    reasons = {peers._why_not_built("DeepSpeedCPUAdam") for _ in range(3)}
    peers._why_not_built.cache_clear()
    assert len(started) == 1
    assert "CPUAdamBuilder" in started[0][-1]
    assert [reason and reason.startswith("took longer than 600 s") for reason in reasons] == [True]


def test_results_of_several_runs_become_one_page(tmp_path: Path) -> None:
    for name, bench in (("a", "cache"), ("b", "build")):
        found = replace(report({"warm load": around(0.004, 1)}), bench=bench)
        (tmp_path / name).write_text(found.to_json(), encoding="utf-8")
    files = [str(tmp_path / name) for name in ("a", "b", "page.md")]
    done = CliRunner().invoke(app, ["bench", "page", *files[:2], "--markdown", files[2]])
    assert done.exit_code == 0, done.output
    text = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == ["Cached ops", "Cold builds"]
    (tmp_path / "a").write_text("{}", encoding="utf-8")
    done = CliRunner().invoke(app, ["bench", "page", *files[:2], "--markdown", files[2]])
    assert done.exit_code == 1
    assert "must be a file that --json has written" in done.output

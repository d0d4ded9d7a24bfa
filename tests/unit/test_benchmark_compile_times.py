"""What each file and header of a build costs, for a small op."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import build_plot, compile_times, plots
from benchmarks.cases import CompileCase
from benchmarks.records import Report, machine_facts, records_of
from op_builder import OpBuilder

FILES = CompileCase("files-cpu", "files", npu=False, headers=False)
HEADERS = CompileCase("headers-cpu", "headers", npu=False, headers=True)


@pytest.fixture
def small_op(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source/own.h").write_text("#define VALUE 1\n", encoding="utf-8")
    (tmp_path / "source/a.cpp").write_text(
        '#include <regex>\n# include "own.h"\nstd::regex a(".");\n', encoding="utf-8"
    )
    (tmp_path / "source/b.cpp").write_text('#include "own.h"\nint b = VALUE;\n', encoding="utf-8")

    class SmallBuilder(OpBuilder):
        NAME, BUILD_VAR, BINDING = "small", "DS_BUILD_SMALL", "ctypes"

        def source_root(self) -> Path:
            return tmp_path / "source"

        def sources(self) -> list[str]:
            return ["a.cpp", "b.cpp"]

        def source_flags(self) -> dict[str, list[str]]:
            return {"b.cpp": ["-DOTHER"]}

    monkeypatch.setattr(compile_times, "CPUAdamBuilder", SmallBuilder)


@pytest.mark.usefixtures("small_op")
def test_every_file_and_every_header_is_compiled_once_per_round() -> None:
    seen: list[str] = []
    begun: list[int] = []
    files, headers = (
        compile_times.measure_compile(case, True, begun.append, seen.append).seconds
        for case in (FILES, HEADERS)
    )

    assert sorted(files) == ["a.cpp", "b.cpp -DOTHER"]
    assert sorted(headers) == ["own.h", "regex"]
    assert all(len(taken) == 1 for taken in [*files.values(), *headers.values()])
    assert len(seen) == sum(begun) == 4
    assert list(headers) == ["regex", "own.h"], "the slowest comes first"


def test_the_parts_are_drawn_without_comparing_them(tmp_path: Path) -> None:
    samples = {f"file_{number}.cpp": [float(number)] for number in range(20, 0, -1)}
    records = records_of("build", FILES, samples)
    assert {record.best_peer for record in records} == {None}
    report = Report("build", True, machine_facts(1, "generic"), records)
    written = plots.draw(report, tmp_path)
    assert [path.name for path in written] == ["build-files.png"]

    figure = build_plot.build_parts([*records, replace(records[0], selector="headers-cpu")])
    texts = [text.get_text() for text in figure.axes[0].texts]
    bars = [text for text in texts if re.fullmatch(r"[\d.]+ s", text)]
    assert len(bars) == build_plot.MOST_BARS
    assert any("9 more take less" in text for text in texts)

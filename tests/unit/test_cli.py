"""``ascend-ops``: its output, its exit codes, and errors without tracebacks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import CommandLine
from outside_op import OutsideOp
from user_folders import UserFolders

from op_builder import envs
from op_builder.ops.emulator import EMULATOR_LIBRARIES
from op_builder.version import __version__


def test_report_shows_the_state_of_every_op(
    command_line: CommandLine, outside_op: OutsideOp
) -> None:
    done = command_line("report")
    assert (done.status, done.err) == (0, "")
    for part in ("cpu_adam", "made_up", "buildable", "impossible", "unavailable", __version__):
        assert part in done.out
    assert "impossible: there is no NPU" in done.out
    assert "impossible: the moon is full" in done.out


def test_report_as_json(
    command_line: CommandLine, outside_op: OutsideOp, user_folders: UserFolders
) -> None:
    entry = outside_op.publish()
    content = command_line("report", "--json").json
    assert content["ascend_ops"] == __version__
    ops = {op["op"]: op for op in content["ops"]}
    assert (ops["made_up"]["state"], ops["made_up"]["library"]) == ("cached", str(entry.library))
    assert ops["made_up"]["origin"] == "made_up_builders"
    assert ops["impossible"]["reasons"] == ["there is no NPU", "the moon is full"]
    assert {part["name"] for part in content["components"]} >= {"torch", "CANN", "compiler"}
    assert str(user_folders.cache) in {place["path"] for place in content["places"]}


def test_report_of_the_environment_lists_every_variable(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAX_JOBS", "3")
    rows = {row["name"]: row for row in command_line("report", "--env", "--json").json["variables"]}
    assert set(rows) >= {variable.name for variable in envs.all_variables()}
    assert "DS_BUILD_CPU_ADAM" in rows
    assert rows["MAX_JOBS"]["value"] == "3"
    assert rows["ASCEND_OPS_JIT"]["value"] is None
    assert rows["ASCEND_OPS_JIT"]["default"] == "True"
    assert all(row["description"] for row in rows.values())
    text = command_line("report", "--env").out
    assert "ASCEND_OPS_CACHE_DIR" in text


def test_a_variable_of_several_ops_is_listed_once(command_line: CommandLine) -> None:
    names = [row["name"] for row in command_line("report", "--env", "--json").json["variables"]]
    assert names.count("DS_BUILD_EMULATOR") == 1
    assert command_line("report", "--env").out.count("DS_BUILD_EMULATOR") == 1


def test_search_paths_are_listed_one_folder_per_line(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = ["/usr/local/bin", "/opt/a folder/bin", "/bin"]
    monkeypatch.setenv("PATH", os.pathsep.join(folders))
    lines = [line.strip() for line in command_line("report", "--env").out.splitlines()]
    at = lines.index(folders[0])
    assert lines[at : at + 3] == folders


def test_the_emulator_has_one_row_without_all(
    command_line: CommandLine, outside_op: OutsideOp
) -> None:
    names = [cls.NAME for cls in EMULATOR_LIBRARIES]
    text = command_line("report").out
    assert f"emulator ({len(names)} libraries)" in text
    assert not [name for name in names if name in text]
    entry = outside_op.publish()
    every = command_line("report", "--all").out
    assert all(name in every for name in names)
    assert str(entry.library) in every.split()
    ops = [op["op"] for op in command_line("report", "--json").json["ops"]]
    assert set(names) < set(ops)


def test_a_reason_is_printed_once_for_all_ops(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "no_such++")
    done = command_line("report")
    assert done.text.count("no_such++: not found on PATH") == 2  # of the ops, and below "Versions"
    assert "cpu_adam, cpu_lion, cpu_adagrad" in done.text


def test_each_place_that_was_searched_has_a_line(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASCEND_HOME_PATH", "/no/such/cann")
    (cann,) = [
        part
        for part in command_line("report", "--json").json["components"]
        if part["name"] == "CANN"
    ]
    assert len(cann["looked_at"]) > 3
    lines = [line.strip() for line in command_line("report").out.splitlines()]
    assert all(
        any(line and place.startswith(line) for line in lines) for place in cann["looked_at"]
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["report"],
        ["report", "--all"],
        ["report", "--env"],
        ["build", "made_up"],
        ["cache", "list"],
        ["cache", "explain", "made_up"],
        ["cache", "clear", "--yes"],
    ],
    ids=" ".join,
)
def test_in_a_pipe_only_paths_are_wider_than_100_columns(
    command_line: CommandLine,
    outside_op: OutsideOp,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
) -> None:
    outside_op.publish()
    monkeypatch.setenv("PATH", os.pathsep.join(["/a/long/folder/of/programs"] * 50))
    monkeypatch.setenv("COLUMNS", "30")  # applies to terminals only
    done = command_line(*arguments)
    assert done.status == 0, done.err
    for line in done.out.splitlines():
        assert len(line) <= 100 or line.strip().startswith("/"), line
    assert max(map(len, done.out.splitlines())) > 30


def test_report_survives_a_value_that_cannot_be_read(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The report is used to find such a value."""
    monkeypatch.setenv("MAX_JOBS", "many")
    rows = {row["name"]: row for row in command_line("report", "--env", "--json").json["variables"]}
    assert rows["MAX_JOBS"]["value"] == "many"
    assert "many" in rows["MAX_JOBS"]["problem"]
    assert [name for name, row in rows.items() if row["problem"]] == ["MAX_JOBS"]
    text = command_line("report", "--env").text
    assert f"error: {rows['MAX_JOBS']['problem']}" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["build"], "name the ops to build, or give --all"),
        (["build", "cpu_adam", "--all"], "name the ops to build, or give --all"),
        (["build", "--no-such-option"], "No such option"),
        (["no-such-command"], "No such command"),
        (["cache", "no-such-command"], "No such command"),
        (["cache", "prune", "--days", "-1"], "greater than or equal to 0"),
        (["cache", "prune", "--days", "soon"], "--days"),
        (["cache", "explain"], "Missing argument"),
        (["cache", "pack"], "Missing argument"),
        (["report", "surplus"], "surplus"),
    ],
)
def test_a_wrong_command_line_exits_with_2_and_a_message(
    command_line: CommandLine, arguments: list[str], message: str
) -> None:
    done = command_line(*arguments)
    assert (done.status, done.out) == (2, "")
    assert message in done.err


@pytest.mark.parametrize(
    ("environ", "arguments", "message"),
    [
        ({}, ["build", "cpu_adm"], "unknown op 'cpu_adm'; available ops: "),
        ({}, ["cache", "explain", "cpu_adm"], "unknown op 'cpu_adm'"),
        ({}, ["cache", "explain", "impossible"], "the moon is full"),
        ({"MAX_JOBS": "many"}, ["report"], "MAX_JOBS must be a positive whole number, got 'many'"),
        ({"ASCEND_OPS_LOG_LEVEL": "loud"}, ["report"], "CRITICAL, got 'loud'"),
        ({"ASCEND_OPS_CACHE_DIR": "here"}, ["cache", "list"], "must be an absolute path"),
        ({"CXX": "no_such++"}, ["cache", "explain", "made_up"], "no_such++: not found on PATH"),
        ({}, ["build", "made_up", "--compile-commands", "/no/such/x.json"], "/no/such/x.json"),
    ],
)
def test_an_error_exits_with_1_and_a_message_without_traceback(
    command_line: CommandLine,
    outside_op: OutsideOp,
    monkeypatch: pytest.MonkeyPatch,
    environ: dict[str, str],
    arguments: list[str],
    message: str,
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    done = command_line(*arguments)
    assert done.status == 1
    assert done.out == ""
    assert message in done.err
    assert "error: " in done.err
    assert "Traceback" not in done.err


def test_help_and_version(command_line: CommandLine) -> None:
    for arguments in (["--help"], ["-h"], ["cache", "--help"], ["build", "-h"]):
        done = command_line(*arguments)
        assert (done.status, done.err) == (0, "")
        assert "Usage" in done.out
    assert command_line("--version").out == f"ascend_ops {__version__}\n"
    assert command_line().status == 2


def test_compile_commands_are_written_and_nothing_is_compiled(
    command_line: CommandLine, outside_op: OutsideOp, tmp_path: Path
) -> None:
    file = tmp_path / "a b" / "compile_commands.json"
    file.parent.mkdir()
    assert command_line("build", "made_up", "--compile-commands", file).status == 0
    (entry,) = json.loads(file.read_bytes())
    assert entry["file"] == str(outside_op.source / "a.cpp")
    assert entry["directory"] == str(outside_op.source)
    assert entry["arguments"][0] == str(outside_op.toolbox.folder / "my++")
    assert not [call for call in outside_op.toolbox.calls() if "a.cpp" in call]
    done = command_line("build", "made_up", "--compile-commands", file, "--json")
    assert done.json == {"compile_commands": str(file)}


def test_a_build_that_fails_is_in_the_json_and_in_the_status(
    command_line: CommandLine, outside_op: OutsideOp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "no_such++")
    done = command_line("build", "made_up", "--json")
    assert done.status == 1
    (result,) = done.json["ops"]
    assert (result["op"], result["outcome"], result["library"]) == ("made_up", "failed", "")
    assert "no_such++: not found on PATH" in result["error"]
    assert "no_such++: not found on PATH" in done.err


def test_what_is_cached_is_not_built(command_line: CommandLine, outside_op: OutsideOp) -> None:
    entry = outside_op.publish()
    (result,) = command_line("build", "made_up", "--json").json["ops"]
    assert (result["outcome"], result["library"]) == ("cached", str(entry.library))


_RUN = "from ascend_ops.cli.main import run; run()"


def test_a_reader_that_closes_the_pipe_gets_no_traceback() -> None:
    """``ascend-ops report --env | head -1``."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run(
        [sys.executable, "-c", _RUN, "report", "--env", "--json"],
        stdout=write_end,
        stderr=subprocess.PIPE,
        check=False,
        text=True,
    )
    os.close(write_end)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("ascend-ops em", {"emulate"}),
        ("ascend-ops build cpu_a", {"cpu_adam", "cpu_adagrad"}),
        ("ascend-ops cache explain cpu_l", {"cpu_lion"}),
        ("ascend-ops build --ta", {"--target"}),
    ],
)
def test_a_shell_completes_commands_options_and_ops(words: str, wanted: set[str]) -> None:
    program = f"import sys; sys.argv[0] = 'ascend-ops'; {_RUN}"
    variables = {
        "_ASCEND_OPS_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
    }
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **variables},
        capture_output=True,
        check=False,
        text=True,
    )
    assert set(done.stdout.split()) == wanted, done.stderr


@pytest.mark.parametrize("arguments", [("--target", "aarch64"), ("--output", "x")])
def test_another_machine_needs_a_target_and_a_folder(
    command_line: CommandLine, arguments: tuple[str, str]
) -> None:
    done = command_line("build", "cpu_adam", *arguments)
    assert done.status == 2
    assert "--target and --output must be given together" in done.err

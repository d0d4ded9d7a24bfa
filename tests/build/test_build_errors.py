"""What a failed build reports: the first error, its place, the command and the log."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from sandbox import Outcome, Sandbox, child_of


def first_error(failed: Outcome) -> str:
    """Return the first error, with the quotes that GCC uses in the C locale."""
    assert failed.error == "BuildError", failed
    return failed.facts["first_error"].replace("\u2018", "'").replace("\u2019", "'")


def test_upstream_02_build_error_shows_the_first_error_the_command_and_the_log(
    sandbox: Sandbox,
) -> None:
    """DeepSpeed #1846, #1077, #4257, #7061: the only message was "no attribute 'ds_opt_adam'"."""
    sandbox.edit("answer.cpp", "ANSWER + ADDEND", "ANSWR + ADDEND + MISSING")
    failed = sandbox.load()

    place = f"{sandbox.project}/answer.cpp:3:73: error: 'ANSWR' was not declared in this scope"
    assert first_error(failed).startswith(place)
    assert "g++" in failed.facts["command"]
    assert "-DADDEND=0" in failed.facts["command"]
    log = Path(failed.facts["log"])
    assert "MISSING" in log.read_text(encoding="utf-8")
    for part in ("first_error", "command", "log"):
        assert failed.facts[part] in failed.message
    assert sandbox.staged() == []
    assert sandbox.entries() == []


def test_logs_of_two_failed_ops_are_both_kept(sandbox: Sandbox) -> None:
    sandbox.edit("answer.cpp", "ANSWER", "ANSWR")
    sandbox.edit("vendored.cpp", "THIRD_PARTY", "FOURTH_PARTY")
    logs = [sandbox.load(op).facts["log"] for op in ("answer:AnswerBuilder", VENDORED)]

    texts = [Path(log).read_text(encoding="utf-8") for log in logs]
    assert "ANSWR" in texts[0]
    assert "FOURTH_PARTY" in texts[1]


IGNORE_CHILDREN = "import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN)"
REAP_CHILDREN = """
import threading, time
def reap():
    while True:
        try: os.waitpid(-1, 0)
        except ChildProcessError: time.sleep(0.001)
threading.Thread(target=reap, daemon=True).start()
"""
VENDORED = "vendored:VendoredBuilder"
UNRESOLVED = "unresolved:UnresolvedBuilder"


def test_missing_header(sandbox: Sandbox) -> None:
    sandbox.edit("answer.cpp", "answer.h", "no_such_header.h")

    message = first_error(sandbox.load())
    assert message == (
        f"{sandbox.project}/answer.cpp:1:10: fatal error: no_such_header.h: "
        "No such file or directory"
    )


def test_missing_source_names_its_real_path(sandbox: Sandbox) -> None:
    (sandbox.project / "answer.cpp").unlink()
    failed = sandbox.load()

    assert failed.error == "AscendOpsError"
    assert str(sandbox.project / "answer.cpp") in failed.message
    assert sandbox.compiles == 0


def test_undefined_reference_is_the_first_error_of_a_link(sandbox: Sandbox) -> None:
    sandbox.edit("unresolved.py", "-z,now", "-z,defs")

    message = first_error(sandbox.load(UNRESOLVED))
    assert "undefined reference to `nobody_defines_this'" in message


def test_symbol_that_is_defined_twice_is_the_first_error_of_a_link(sandbox: Sandbox) -> None:
    (sandbox.project / "second.cpp").write_text('extern "C" int answer() { return 1; }')
    sandbox.edit("answer.py", '["answer.cpp"]', '["answer.cpp", "second.cpp"]')

    assert "multiple definition of `answer'" in first_error(sandbox.load())


def test_missing_library_is_the_first_error_of_a_link(sandbox: Sandbox) -> None:
    sandbox.edit("answer.py", "-Wl,--hash-style=gnu", "-lno_such_library")

    assert "cannot find -lno_such_library" in first_error(sandbox.load())


def test_warning_that_speaks_of_an_error_is_not_the_first_error(sandbox: Sandbox) -> None:
    sandbox.edit("answer.cpp", "#include", '#warning "error: not this one"\n#include')
    sandbox.edit("answer.cpp", "ANSWER", "ANSWR")

    assert "'ANSWR' was not declared" in first_error(sandbox.load())


def test_folder_named_like_a_root_is_left_as_it_is(sandbox: Sandbox, tmp_path: Path) -> None:
    """``source/`` and ``torch/`` are links in the working folder, but names in a real path."""
    project = tmp_path / "my torch" / "source"
    project.parent.mkdir()
    sandbox.project.rename(project)
    sandbox.project = project
    sandbox.edit("stable_answer.cpp", "return 42", "return forty_two")

    message = first_error(sandbox.load("stable_answer:StableAnswerBuilder"))
    assert message.startswith(f"{project}/stable_answer.cpp:7:32: error: 'forty_two'")


def test_ninja_killed_from_outside(sandbox: Sandbox) -> None:
    """For example by the out-of-memory killer: tried once more, then a BuildError."""
    sandbox.gate.touch()
    building = sandbox.start()
    for count in (1, 2):
        sandbox.wait_for_compile(count)
        os.kill(child_of(child_of(building.pid)), signal.SIGKILL)
    failed = building.outcome()

    assert "SIGKILL" in first_error(failed)
    assert "MAX_JOBS" in failed.message
    assert sandbox.compilers() == []
    sandbox.gate.unlink()
    assert sandbox.load().value == 42


def test_ninja_killed_once_is_started_again(sandbox: Sandbox) -> None:
    sandbox.gate.touch()
    building = sandbox.start()
    sandbox.wait_for_compile()
    os.kill(child_of(child_of(building.pid)), signal.SIGKILL)
    sandbox.wait_for_compile(2)
    sandbox.gate.unlink()

    assert building.outcome().value == 42
    assert sandbox.compiles == 2


def test_compiler_killed_from_outside(sandbox: Sandbox) -> None:
    failed = sandbox.load(COMPILE_HOOK="kill -9 $PPID")

    assert failed.error == "BuildError"
    assert failed.facts["kind"] == "killed"
    assert "Killed" in failed.message or "signal" in failed.message
    assert sandbox.compiles == 2
    assert sandbox.load().value == 42


def test_compiler_killed_once_is_started_again(sandbox: Sandbox) -> None:
    once = f"[ -e {sandbox.scratch}/once ] || {{ touch {sandbox.scratch}/once; kill -9 $PPID; }}"
    loaded = sandbox.load(COMPILE_HOOK=once)

    assert loaded.value == 42
    assert "trying once more" in loaded.stderr
    assert sandbox.compiles == 2


def test_failure_that_a_signal_caused_is_not_passed_on_to_waiters(sandbox: Sandbox) -> None:
    """Only the compiles of the first process are killed."""
    sandbox.gate.touch()
    unlucky = sandbox.start(COMPILE_HOOK="kill -9 $PPID")
    sandbox.wait_for_waiters([unlucky])
    waiting = [sandbox.start() for _ in range(3)]
    sandbox.wait_for_waiters(waiting)
    sandbox.gate.unlink()

    assert unlucky.outcome().error in ("BuildError", None)
    assert [rank.outcome().value for rank in waiting] == [42] * 3


def test_compiler_that_hangs_is_ended_and_its_last_output_shown(sandbox: Sandbox) -> None:
    sandbox.gate.touch()
    hook = "echo waiting for the license server"
    failed = sandbox.load(COMPILE_HOOK=hook, ASCEND_OPS_BUILD_TIMEOUT="0.5")

    assert failed.facts["kind"] == "timeout"
    for part in ("0.5 s", "ASCEND_OPS_BUILD_TIMEOUT", "waiting for the license server"):
        assert part in failed.message
    assert "answer.cpp" in failed.facts["command"]
    assert sandbox.compilers() == []
    sandbox.gate.unlink()
    assert sandbox.load().value == 42


def test_output_without_end_is_cut(sandbox: Sandbox) -> None:
    sandbox.edit("answer.cpp", "ANSWER + ADDEND", "ANSWR + ADDEND")
    failed = sandbox.load(COMPILE_HOOK="head -c 30000000 /dev/zero | tr '\\0' x; echo")

    assert "'ANSWR' was not declared" in first_error(failed)
    assert len(failed.message) < 100_000
    assert Path(failed.facts["log"]).stat().st_size < 20_000_000


def test_text_in_a_source_is_not_taken_for_a_full_disk(sandbox: Sandbox) -> None:
    sandbox.edit("answer.cpp", "#include", '#error "x: No space left on device"\n#include')
    failed = sandbox.load()

    assert failed.error == "BuildError"
    assert failed.facts["kind"] == "diagnostic"
    assert "#error" in first_error(failed)


@pytest.mark.parametrize("handling", ["ignored", "reaped"])
def test_status_of_a_compiler_whatever_the_host_program_does_with_it(
    sandbox: Sandbox, handling: str
) -> None:
    """Python reports status 0 for a child that another one has waited for."""
    first = IGNORE_CHILDREN if handling == "ignored" else REAP_CHILDREN
    sandbox.edit("answer.cpp", "ANSWER + ADDEND", "ANSWR + ADDEND")
    assert "'ANSWR' was not declared" in first_error(sandbox.load(first=first))
    sandbox.edit("answer.cpp", "ANSWR + ADDEND", "ANSWER + ADDEND")
    assert sandbox.load(first=first).value == 42


def test_colours_are_not_part_of_an_error(sandbox: Sandbox) -> None:
    sandbox.edit("answer.cpp", "ANSWER", "ANSWR")
    sandbox.edit("answer.py", "-DADDEND=0", '-DADDEND=0", "-fdiagnostics-color=always')
    message = first_error(sandbox.load(CLICOLOR_FORCE="1"))

    assert message.startswith(f"{sandbox.project}/answer.cpp:3:")
    assert "\x1b" not in message


def test_launcher_that_does_not_exist_is_named(sandbox: Sandbox) -> None:
    failed = sandbox.load(ASCEND_OPS_COMPILER_LAUNCHER="no_such_launcher")

    assert "no_such_launcher" in first_error(failed)


def test_messages_do_not_follow_the_language_of_the_user(sandbox: Sandbox) -> None:
    """The first error is found by the English word: "Fehler" and "错误" are not recognized."""
    log = sandbox.scratch / "locale"
    hook = f'echo "$LC_ALL,$LC_MESSAGES,$LANGUAGE" > {log}'
    loaded = sandbox.load(COMPILE_HOOK=hook, LC_ALL="de_DE.UTF-8", LANGUAGE="de", LANG="zh_CN")

    assert loaded.value == 42
    lc_all, _, language = log.read_text(encoding="utf-8").strip().split(",")
    assert lc_all in ("C", "C.UTF-8")
    assert language == ""


@pytest.mark.parametrize("flag", ["-Werror", "-Werror=cpp"])
def test_warning_as_an_error_is_found(sandbox: Sandbox, flag: str) -> None:
    sandbox.edit("answer.cpp", "#include", '#warning "mind this"\n#include')
    sandbox.edit("answer.py", "-DADDEND=0", f'-DADDEND=0", "{flag}')

    assert 'error: #warning "mind this"' in first_error(sandbox.load())

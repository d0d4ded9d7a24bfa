"""Each message, as somebody who does not know the program would read it."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from op_builder import errors
from op_builder.errors import AscendOpsError

EXAMPLES: list[tuple[AscendOpsError, list[str]]] = [
    (
        errors.EnvironmentVariableError("MAX_JOBS", "many", "a positive whole number"),
        ["environment variable MAX_JOBS must be a positive whole number, got 'many'"],
    ),
    (
        errors.CommandError(["g++", "-c", "my file.cpp"], 1, "x.cpp:1:1: error: no\n"),
        ["g++ -c 'my file.cpp'", "exited with status 1:", "x.cpp:1:1: error: no"],
    ),
    (errors.CommandError(["ld"], -9, ""), ["was killed by SIGKILL", "(no output)"]),
    (errors.CommandError(["ld"], -99, ""), ["was killed by signal 99"]),
    (errors.CommandError(["ld"], None, "Permission denied"), ["could not be run", "Permission"]),
    (
        errors.NotFoundError("ninja", ["/a: not there", "/b: a folder"], "Install it."),
        [
            "ninja was not found. Places searched:",
            "  - /a: not there",
            "  - /b: a folder",
            "Install it.",
        ],
    ),
    (errors.CannNotFoundError("CANN", [], "Install it."), ["(no place to search)", "Install it."]),
    (errors.CompilerNotFoundError("a compiler", ["g++: too old"], "Do"), ["  - g++: too old"]),
    (
        errors.IncompatibleOpError("npu_adam", ["no CANN\nanywhere", "torch is too old"]),
        ["npu_adam cannot be built on this machine:", "  - no CANN\n    anywhere", "  - torch"],
    ),
    (
        errors.UnknownOpError("cpu_adm", ["lion", "cpu_adam"]),
        ["unknown op 'cpu_adm'; available ops: cpu_adam, lion"],
    ),
    (
        errors.BuildError("cpu_adam", "a.cpp:3: error: no", "g++ -c a.cpp", Path("/c/x.log")),
        ["building cpu_adam failed:", "a.cpp:3: error: no", "command: g++ -c a.cpp", "/c/x.log"],
    ),
    (
        errors.JitDisabledError("cpu_adam", "DS_BUILD_CPU_ADAM", ["site: stale"]),
        [
            "ASCEND_OPS_JIT=0 disables",
            "  - site: stale",
            "ascend-ops build cpu_adam",
            "DS_BUILD_CPU_ADAM=1 pip install",
            "unset ASCEND_OPS_JIT",
        ],
    ),
    (
        errors.JitDisabledError("theirs", "THEIR_VAR", [], "their_ops"),
        ["no build of it exists", "THEIR_VAR=1 pip install --no-build-isolation their_ops"],
    ),
    (
        errors.LoadError("cpu_adam", Path("/c/cpu_adam.so"), "file too short"),
        ["loading cpu_adam from /c/cpu_adam.so failed: file too short"],
    ),
    (errors.CacheError("the disk is full"), ["the disk is full"]),
    (errors.UnsafeCacheError("/c is writable by other users"), ["/c is writable by other users"]),
]


@pytest.mark.parametrize(("error", "parts"), EXAMPLES)
def test_the_message_states_the_problem_the_place_and_the_remedy(
    error: AscendOpsError, parts: list[str]
) -> None:
    message = str(error)
    assert [part for part in parts if part not in message] == []
    assert not message.startswith(("'", '"'))  # a KeyError shows the repr of its message


def test_every_error_has_an_example() -> None:
    classes = {
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, AscendOpsError)
    }
    assert classes - {type(error) for error, _ in EXAMPLES} == {AscendOpsError}


@pytest.mark.parametrize("error", [error for error, _ in EXAMPLES], ids=lambda e: type(e).__name__)
def test_an_error_comes_back_from_a_worker_process(error: AscendOpsError) -> None:
    """A pool pickles the exception of a worker; if that fails, the pool breaks."""
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is type(error)
    assert str(back) == str(error)
    assert vars(back) == vars(error)


def test_what_python_programs_catch() -> None:
    assert issubclass(errors.EnvironmentVariableError, ValueError)
    assert issubclass(errors.UnknownOpError, KeyError)


def test_upstream_02_a_build_error_carries_the_compilers_words() -> None:
    """DeepSpeed #1846, #1077, #4257, #7061: an error about ds_opt_adam hid the real one."""
    error = errors.BuildError("cpu_adam", "a.cpp:3: error: no", "g++ -c a.cpp", None)
    assert (error.op, error.first_error, error.command) == (
        "cpu_adam",
        "a.cpp:3: error: no",
        "g++ -c a.cpp",
    )
    assert "log" not in str(error)

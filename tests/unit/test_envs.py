"""The table of environment variables, and how each one is parsed."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest

from op_builder import envs
from op_builder.envs import Variable
from op_builder.errors import EnvironmentVariableError

ROOT = Path(__file__).resolve().parents[2]
TABLE = envs.all_variables()


def test_every_variable_that_is_read_is_in_the_table() -> None:
    """Every capitalized name with the project's prefix, anywhere in the code, is a variable."""
    known = {variable.name for variable in TABLE}
    mentioned: set[str] = set()
    for package in ("op_builder", "ascend_ops"):
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    mentioned.update(re.findall(r"\b(?:ASCEND_OPS|XDG)_[A-Z_]+\b", node.value))
    mentioned = {name for name in mentioned if not name.endswith("_")}
    assert mentioned - known == set()


def test_own_variables_come_first_and_begin_alike() -> None:
    own = [variable.name.startswith("ASCEND_OPS_") for variable in TABLE]
    assert own == sorted(own, reverse=True)
    assert len({variable.name for variable in TABLE}) == len(TABLE)


@pytest.mark.parametrize("variable", TABLE, ids=lambda variable: variable.name)
def test_unset_and_empty_mean_the_default(variable: Variable[Any]) -> None:
    assert variable.get({}) == variable.default
    assert variable.get({variable.name: ""}) == variable.default
    assert variable.description
    assert variable.kind


def test_read_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAX_JOBS", "3")
    assert envs.MAX_JOBS.get() == 3
    monkeypatch.setenv("MAX_JOBS", "4")
    assert envs.MAX_JOBS.get() == 4
    assert envs.MAX_JOBS.get({}) is None  # only the given environment is read


@pytest.mark.parametrize(
    ("variable", "text", "value"),
    [
        (envs.JIT, "0", False),
        (envs.JIT, " Off ", False),
        (envs.JIT, "true", True),
        (envs.JIT, "YES", True),
        (envs.MAX_JOBS, " 12 ", 12),
        (envs.LOCK_TIMEOUT, "0", 0.0),
        (envs.LOCK_TIMEOUT, "1.5", 1.5),
        (envs.LOCK_TIMEOUT, "inf", float("inf")),
        (envs.CACHE_DIR, "/a b/ü", Path("/a b/ü")),
        (envs.LOG_LEVEL, "debug", "DEBUG"),
        (envs.CXX, " ccache g++ ", "ccache g++"),
        (envs.CXX, "  ", ""),
        (envs.REMOTE_CACHE, "s3://bucket/folder", "s3://bucket/folder"),
        (envs.REMOTE_CACHE, "simplecache::s3://bucket", "simplecache::s3://bucket"),
        (envs.REMOTE_CACHE, "/a folder", "/a folder"),
        (envs.REMOTE_KEYS, "a+/=, /b c:d\n", ("a+/=", "/b c", "d")),
    ],
)
def test_good_values(variable: Variable[Any], text: str, value: object) -> None:
    assert variable.get({variable.name: text}) == value


def test_a_home_is_put_in_for_the_tilde(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert envs.CACHE_DIR.get({"ASCEND_OPS_CACHE_DIR": "~/ops"}) == tmp_path / "ops"


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        (envs.JIT, "2"),
        (envs.JIT, "maybe"),
        (envs.DS_BUILD_OPS, "all"),
        (envs.MAX_JOBS, "0"),
        (envs.MAX_JOBS, "-1"),
        (envs.MAX_JOBS, "2.0"),
        (envs.MAX_JOBS, "²"),
        (envs.LOCK_TIMEOUT, "-1"),
        (envs.LOCK_TIMEOUT, "nan"),
        (envs.LOCK_TIMEOUT, "soon"),
        (envs.CACHE_DIR, "relative/path"),
        (envs.CACHE_DIR, "~nobody_has_this_name/x"),
        (envs.LOG_LEVEL, "loud"),
        (envs.CXX, "g++ 'unbalanced"),
        (envs.COMPILER_LAUNCHER, 'ccache "'),
        (envs.REMOTE_CACHE, "bucket/folder"),
        (envs.REMOTE_CACHE, "http://[::1/folder"),
        (envs.REMOTE_TIMEOUT, "-1"),
    ],
)
def test_a_bad_value_is_an_error_that_names_the_variable(
    variable: Variable[Any], text: str
) -> None:
    with pytest.raises(EnvironmentVariableError) as caught:
        variable.get({variable.name: text})
    assert (caught.value.name, caught.value.value) == (variable.name, text)
    assert caught.value.wanted in str(caught.value)


def test_a_switch_for_one_op() -> None:
    switch = envs.build_switch("DS_BUILD_CPU_ADAM")
    assert [switch.get({switch.name: text}) for text in ("1", "0", "")] == [True, False, None]
    assert "DS_BUILD_CPU_ADAM" not in {variable.name for variable in envs.all_variables()}


def test_a_copy_of_the_environment_is_a_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAX_JOBS", "3")
    copy = envs.process_environment()
    copy["MAX_JOBS"] = "4"
    assert envs.MAX_JOBS.get() == 3

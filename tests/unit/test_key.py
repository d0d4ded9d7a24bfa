"""What is in a key, what is not, and how the differences of two keys are shown."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import cache_entries
import pytest
from hypothesis import given
from hypothesis import strategies as st

from op_builder.cache.key import BuildKey, canonical, differences, headers_digest, recipe
from op_builder.errors import AscendOpsError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(JSON)
def test_canonical_json_is_json_in_ascii_and_nothing_is_lost(value: object) -> None:
    text = canonical(value)
    assert text.isascii()
    assert b"\n" not in text
    assert json.loads(text) == value


@given(st.dictionaries(st.text(max_size=5), JSON, max_size=5), st.randoms())
def test_the_order_of_a_table_does_not_matter(table: dict[str, Any], random: Any) -> None:
    items = list(table.items())
    random.shuffle(items)
    assert canonical(dict(items)) == canonical(table)


@given(JSON, JSON)
def test_canonical_texts_are_equal_only_for_equal_values(one: object, other: object) -> None:
    """Joined strings are not enough: ["ab", "c"] and ["a", "bc"] would be equal."""
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (canonical(one) == canonical(other)) == same


def test_a_digest_is_a_folder_name_of_both_parts() -> None:
    digest = BuildKey({"op": "a"}, {"compiler": "x"}).digest
    assert len(digest) == 40
    assert digest.isalnum()
    assert digest != BuildKey({"op": "b"}, {"compiler": "x"}).digest
    assert digest != BuildKey({"op": "a"}, {"compiler": "y"}).digest
    assert headers_digest({"a": "1", "b": "2"}) == headers_digest({"b": "2", "a": "1"})


def test_upstream_07_no_time_no_folder_no_job_count_is_in_a_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """flashinfer #4884, #4885, pytorch #124454: a restore led to a rebuild of 30 minutes."""
    spec = cache_entries.spec(tmp_path / "a")
    before = recipe(spec, cache_entries.toolchain())
    os.utime(tmp_path / "a" / "a.cpp", (1, 1))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAX_JOBS", "7")
    (tmp_path / "link").symlink_to("a")
    environ = {"MAX_JOBS": "3", "HOME": "/x", "ASCEND_OPS_COMPILER_LAUNCHER": "ccache"}
    linked = cache_entries.spec(tmp_path / "link")
    after = recipe(linked, cache_entries.toolchain(environ=environ, memo_dir=tmp_path))
    assert after == before
    assert str(tmp_path) not in canonical(after).decode()


def test_a_source_that_is_gone_is_named(tmp_path: Path) -> None:
    spec = cache_entries.spec(tmp_path)
    (tmp_path / "a.cpp").unlink()
    with pytest.raises(AscendOpsError, match=r"made_up: source .*a\.cpp cannot be read"):
        recipe(spec, cache_entries.toolchain())


def test_equal_parts_are_not_mentioned() -> None:
    assert differences({"a": 1, "b": {"c": 2}}, {"b": {"c": 2}, "a": 1}) == []


@pytest.mark.parametrize(
    ("wanted", "found", "line"),
    [
        ({"a": "x"}, {"a": "y"}, "a: y, expected x"),
        ({"a": {"b": {"c": 1}}}, {"a": {"b": {"c": 2}}}, "a.b.c: 2, expected 1"),
        ({"torch": "2.13"}, {}, "torch: nothing, expected 2.13"),
        ({}, {"torch": "2.13"}, "torch: 2.13, expected nothing"),
        ({"a": {"b": 1}}, {"a": 3}, 'a: 3, expected {"b": 1}'),
        ({"build": "x\ny\nz"}, {"build": "x\nw\nz"}, "build: w, expected y"),
        ({"build": "x\ny"}, {"build": "x"}, "build: no such line, expected y"),
        ({"build": "x"}, {"build": "x\ny"}, "build: y, expected no such line"),
    ],
)
def test_a_difference_names_both_values(
    wanted: dict[str, Any], found: dict[str, Any], line: str
) -> None:
    assert differences(wanted, found) == [line]


def test_lines_in_another_order_are_reported_as_a_difference() -> None:
    (line,) = differences({"build": "x\ny"}, {"build": "y\nx"})
    assert "order" in line


VALUES = st.recursive(
    st.text(max_size=4), lambda inner: st.dictionaries(st.text(max_size=4), inner)
)
TABLES = st.dictionaries(st.text(max_size=4), VALUES, max_size=4)


@given(TABLES, TABLES)
def test_there_is_a_line_exactly_where_something_differs(
    wanted: dict[str, Any], found: dict[str, Any]
) -> None:
    assert (differences(wanted, found) == []) == (wanted == found)


def test_a_flag_at_the_end_of_a_long_line_is_still_shown() -> None:
    """Real cxx_flags are longer than a line, and new flags are appended at the end."""
    flags = "cxx_flags = " + " ".join(f"-Wsome-long-warning-{n}" for n in range(20))
    (line,) = differences({"build": f"{flags} -DNEW"}, {"build": f"{flags} -DOLD -ffast-math"})
    theirs, _, ours = line.partition(", expected ")
    assert theirs.endswith("-DOLD -ffast-math")
    assert ours.endswith("-DNEW")
    assert len(line) < 400


@given(st.text("ab", max_size=400), st.text("ab", max_size=400))
def test_two_long_values_never_look_alike(one: str, other: str) -> None:
    for line in differences({"x": one}, {"x": other}):
        theirs, _, ours = line.removeprefix("x: ").partition(", expected ")
        assert theirs != ours

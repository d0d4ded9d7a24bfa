"""Sources that are compiled together are tracked and reported as if each were by itself."""

from __future__ import annotations

import pytest
from sandbox import Sandbox

TOGETHER = "together:TogetherBuilder"
UNIT, BY_ITSELF = 1, 1


def test_sources_without_own_flags_share_a_compile(sandbox: Sandbox) -> None:
    assert sandbox.load(TOGETHER).value == 42
    assert sandbox.compiles == UNIT + BY_ITSELF
    assert sandbox.load(TOGETHER).processes == ()


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("together/first.cpp", "addend()", "addend() + 1"),
        ("together/second.cpp", "NUMBER", "NUMBER + 1"),
        ("together/number.h", "42", "43"),
        ("together/third.cpp", "ADDEND", "ADDEND + 1"),
    ],
)
def test_an_edit_of_each_file_is_seen(sandbox: Sandbox, file: str, old: str, new: str) -> None:
    assert sandbox.load(TOGETHER).value == 42
    text = (sandbox.project / file).read_text(encoding="utf-8")
    place = text.rindex(old)
    edited = text[:place] + new + text[place + len(old) :]
    (sandbox.project / file).write_text(edited, encoding="utf-8")
    assert sandbox.load(TOGETHER).value == 43


def test_another_grouping_is_another_entry(sandbox: Sandbox) -> None:
    first = sandbox.load(TOGETHER)
    sandbox.edit("together.py", "SOURCES_PER_UNIT = 2", "SOURCES_PER_UNIT = 1")
    second = sandbox.load(TOGETHER)
    assert (second.value, sandbox.compiles) == (42, 5)
    assert second.entry != first.entry


def test_an_error_names_the_source(sandbox: Sandbox) -> None:
    sandbox.edit("together/second.cpp", "NUMBER;", "MISSING;")
    failed = sandbox.load(TOGETHER)
    assert failed.error == "BuildError"
    assert f"{sandbox.project}/together/second.cpp:3" in failed.facts["first_error"]


def test_a_launcher_that_loses_a_source_is_refused(sandbox: Sandbox) -> None:
    """A list of headers without one of the sources cannot be that of the unit."""
    launcher = sandbox.scratch / "launcher.sh"
    launcher.write_text(
        '#!/bin/sh\n"$@" || exit\n'
        "for word; do case $last in -MF) list=$word;; esac; last=$word; done\n"
        "sed -i s,source/together/second.cpp,,g $list\n",
        encoding="utf-8",
    )
    launcher.chmod(0o755)
    failed = sandbox.load(TOGETHER, ASCEND_OPS_COMPILER_LAUNCHER=str(launcher))
    assert failed.error == "BuildError"
    assert "together/second.cpp: error:" in failed.facts["first_error"]
    assert "must list the headers of this source" in failed.facts["first_error"]

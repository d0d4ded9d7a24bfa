"""The C++ sources match the map in ``csrc/README.md`` and use one kind of include path."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest

from op_builder.registry import ALL_OPS

CSRC = Path(__file__).resolve().parents[2] / "csrc"
HEADERS_ONLY = {"headers only"}


def mapped() -> dict[str, set[str]]:
    """Return the libraries of each folder in the map."""
    text = (CSRC / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w/]+)` \|[^|]+\| ([^|]+) \|$", text, re.MULTILINE)
    return {folder: set(libraries.replace("`", "").split(", ")) for folder, libraries in rows}


def test_the_map_has_every_folder_and_nothing_else() -> None:
    folders = {
        str(file.parent.relative_to(CSRC))
        for file in CSRC.rglob("*")
        if file.suffix in (".h", ".cpp")
    }
    assert set(mapped()) == folders


def test_the_map_names_the_libraries_that_the_builders_compile_each_folder_into() -> None:
    compiled = defaultdict(set)
    for builder in ALL_OPS:
        for source in builder().sources():
            compiled[str(Path(source).parent)].add(builder.NAME)
    assert mapped() == {folder: compiled.get(folder, HEADERS_ONLY) for folder in mapped()}


@pytest.mark.parametrize("device", ["acl", "cpu", "npu"])
def test_include_paths_begin_at_csrc(device: str) -> None:
    for file in sorted((CSRC / device).rglob("*")):
        if file.suffix in (".h", ".cpp", ".asc"):
            for path in re.findall(r'#include "(.+)"', file.read_text(encoding="utf-8")):
                known = path in ("formula.h", "kernel_operator.h") or (CSRC / path).is_file()
                assert known, f"{file}: {path}"


def test_every_header_is_guarded_by_pragma_once() -> None:
    for header in CSRC.rglob("*.h"):
        assert "\n#pragma once\n" in f"\n{header.read_text(encoding='utf-8')}", header

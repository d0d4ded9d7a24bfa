"""Which files a build read, from the lists in its working folder."""

from __future__ import annotations

import os
from pathlib import Path

import cache_entries
import pytest

from op_builder.jit.inputs import UnknownInputsError, read_inputs

COMPILED = b"objects/a.cpp.o: source/a.cpp source/a.h\n"
LINKED = b"made_up.so: \\\n  objects/a.cpp.o \\\n  ./libx.a \\\n  source/my lib.a\n\n./libx.a:\n"


def work(folder: Path, **lists: bytes) -> Path:
    """Create a working folder with the lists of a build."""
    (folder / "objects").mkdir(parents=True)
    names = {
        "compiled": "objects/a.cpp.o.d",
        "assembled": "objects/a.cpp.o.as.d",
        "linked": "link.d",
        "traced": "link.trace",
    }
    for name, content in lists.items():
        (folder / names[name]).write_bytes(content)
    return folder


def test_all_lists_are_read_and_sources_and_objects_left_out(tmp_path: Path) -> None:
    spec = cache_entries.spec(tmp_path / "source")
    assembled = b"objects/a.cpp.o: source/a.cpp source/blob.bin {standard input} /none.s\n"
    found = read_inputs(
        spec, work(tmp_path / "work", compiled=COMPILED, assembled=assembled, linked=LINKED)
    )
    assert found.headers == ("source/a.h", "source/blob.bin")
    assert found.linked == ("libx.a", "source/my lib.a")


def test_a_trace_of_the_linker_names_archives(tmp_path: Path) -> None:
    spec = cache_entries.spec(tmp_path / "source")
    traced = b"/usr/bin/ld: mode elf_x86_64\nobjects/a.cpp.o\n(/x/libx.a)b.o\n/x/liby.so\n"
    found = read_inputs(spec, work(tmp_path / "work", compiled=COMPILED, traced=traced))
    assert found.linked == ("/x/libx.a", "/x/liby.so")


def test_a_path_that_is_not_text_is_read_back_as_the_same_bytes(tmp_path: Path) -> None:
    spec = cache_entries.spec(tmp_path / "source")
    compiled = b"a.o: source/a.cpp \xff\xfe.h b.h\n"
    found = read_inputs(spec, work(tmp_path / "work", compiled=compiled, linked=LINKED))
    assert [os.fsencode(path) for path in found.headers] == [b"\xff\xfe.h", b"b.h"]


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ({"linked": LINKED}, "a.cpp.o.d must list the headers that the compiler read"),
        ({"compiled": b"a.o: source/b.cpp\n", "linked": LINKED}, "got those of source/b.cpp"),
        ({"compiled": b"", "linked": LINKED}, "got those of no source"),
        ({"compiled": COMPILED}, "link.d must list the files that the linker read"),
    ],
)
def test_a_missing_or_foreign_list_is_refused(
    tmp_path: Path, lists: dict[str, bytes], message: str
) -> None:
    spec = cache_entries.spec(tmp_path / "source")
    with pytest.raises(UnknownInputsError, match=message):
        read_inputs(spec, work(tmp_path / "work", **lists))


def test_incbin_is_refused_if_the_assembler_lists_nothing(tmp_path: Path) -> None:
    spec = cache_entries.spec(tmp_path / "source")
    folder = work(tmp_path / "work", compiled=COMPILED, linked=LINKED)
    read_inputs(spec, folder)
    (tmp_path / "source/a.h").write_text('asm(".incbin \\"blob\\"");', encoding="utf-8")
    with pytest.raises(UnknownInputsError, match=r"source/a.h: error: \.incbin"):
        read_inputs(spec, folder)

"""Which files a build read, from the lists in its working folder."""

from __future__ import annotations

import os
from pathlib import Path

import cache_entries
import pytest

from op_builder.jit.inputs import UnknownInputsError, read_inputs

COMPILED = b"objects/a.cpp.o: source/a.cpp source/a.h\n"
LINKED = b"made_up.so: \n\nobjects/a.cpp.o:\n\n./libx.a:\n\nsource/my lib.a:\n"


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
    traced += b"-lm (/x/libm.so)\n/x/libz.a(c.o)\n"
    found = read_inputs(spec, work(tmp_path / "work", compiled=COMPILED, traced=traced))
    assert found.linked == ("/x/libx.a", "/x/liby.so", "/x/libm.so", "/x/libz.a")


@pytest.mark.parametrize("spelled", ["my lib.a", "my\\ lib.a"], ids=["GNU", "lld"])
def test_a_linker_may_escape_spaces_or_not(tmp_path: Path, spelled: str) -> None:
    spec = cache_entries.spec(tmp_path / "source")
    linked = f"a.so: \n\nobjects/a.cpp.o:\n\n{spelled}:\n".encode()
    folder = work(tmp_path / "work", compiled=COMPILED, linked=linked)
    (folder / "my lib.a").touch()
    assert read_inputs(spec, folder).linked == ("my lib.a",)


def test_members_of_a_thin_archive_are_read(tmp_path: Path) -> None:
    spec = cache_entries.spec(tmp_path / "source")
    folder = work(tmp_path / "work", compiled=COMPILED, linked=LINKED)
    name = "deep/a_name_of_more_than_15_letters.o"
    table = f"{name}/\nb.o/\n".encode()
    headers = (("//", len(table), table), ("/0", 999, b""), (f"/{len(name) + 2}", 999, b""))
    content = b"".join(f"{kind:<48}{size:<10}`\n".encode() + after for kind, size, after in headers)
    (folder / "libx.a").write_bytes(b"!<thin>\n" + content)
    assert read_inputs(spec, folder).linked == ("libx.a", "source/my lib.a", name, "b.o")
    (folder / "libx.a").write_bytes(b"!<thin>\n" + b"?" * 60)
    with pytest.raises(UnknownInputsError, match=r"libx.a: error: the members of this thin"):
        read_inputs(spec, folder)


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
        (
            {"compiled": COMPILED, "linked": b"made_up.so: \n\n./libx.a:\n"},
            "objects/a.cpp.o is missing in its list",
        ),
    ],
)
def test_a_missing_or_foreign_list_is_refused(
    tmp_path: Path, lists: dict[str, bytes], message: str
) -> None:
    spec = cache_entries.spec(tmp_path / "source")
    with pytest.raises(UnknownInputsError, match=message):
        read_inputs(spec, work(tmp_path / "work", **lists))


@pytest.mark.parametrize(
    "text",
    [
        r'asm(".incbin \"blob\"");',
        r'asm(".INCBIN \"blob\"");',
        r'asm(".include \"blob.s\"");',
        r'asm("nop\n.include \"blob.s\"");',
        r'asm("nop\n\t.include\t" NAME);',
        'asm(R"(\n  .include "blob.s"\n)");',
    ],
)
def test_incbin_is_refused_if_the_assembler_lists_nothing(tmp_path: Path, text: str) -> None:
    spec = cache_entries.spec(tmp_path / "source")
    folder = work(tmp_path / "work", compiled=COMPILED, linked=LINKED)
    (tmp_path / "source/a.h").write_text('options.include("blob.s");', encoding="utf-8")
    read_inputs(spec, folder)
    (tmp_path / "source/a.h").write_text(text, encoding="utf-8")
    with pytest.raises(UnknownInputsError, match=r"source/a.h: error: \.incbin"):
        read_inputs(spec, folder)

"""What is kept of a program's output, and lines that arrive in pieces."""

from __future__ import annotations

from op_builder.system.output import LINE_CHARACTERS, Excerpt, LineSplitter


def test_short_text_is_kept_whole() -> None:
    kept = Excerpt(4, 4)
    for piece in ("ab", "", "cdef", "gh"):
        kept.add(piece)
    assert kept.text() == "abcdefgh"


def test_of_a_long_text_the_beginning_and_the_end_are_kept() -> None:
    kept = Excerpt(3, 4)
    for number in range(1000):
        kept.add(f"{number},")
    beginning, note, end = kept.text().splitlines()
    assert beginning == "0,1"
    assert end == "999,"
    characters = sum(len(f"{number},") for number in range(1000))
    assert note == f"[{characters - 3 - 4} characters omitted]"


def test_one_long_piece_is_cut_too() -> None:
    kept = Excerpt(3, 4)
    kept.add("abc" + "x" * 1_000_000 + "wxyz")
    assert kept.text() == "abc\n[1000000 characters omitted]\nwxyz"


def test_lines_are_put_together_from_any_pieces() -> None:
    text = "one\n\ntwo \u00fc\r\nthree".encode()
    for size in range(1, len(text) + 1):
        splitter = LineSplitter()
        pieces = [text[start : start + size] for start in range(0, len(text), size)]
        lines = [line for piece in pieces for line in splitter.feed(piece)]
        assert lines == ["one\n", "\n", "two \u00fc\n"]
        assert list(splitter.rest()) == ["three"]


def test_long_line_is_cut_and_the_next_one_is_whole() -> None:
    splitter = LineSplitter()
    lines = [line for _ in range(30) for line in splitter.feed(b"x" * LINE_CHARACTERS)]
    assert lines == []
    cut, whole = splitter.feed(b"end\nnext\n")
    assert cut == "x" * LINE_CHARACTERS + " [line cut]\n"
    assert whole == "next\n"

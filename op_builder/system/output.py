"""The output of a program, kept within bounds: 100 MB on one line must not become an exception."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

#: A compiler's command line, the longest line that is worth reading, has a few thousand characters.
LINE_CHARACTERS = 32_768


class Excerpt:
    """The beginning and the end of a long text.

    Args:
        head: How many characters of the beginning are kept.
        tail: How many characters of the end are kept, at least.
    """

    def __init__(self, head: int = 16_384, tail: int = 16_384) -> None:
        self._head_left, self._tail = head, tail
        self._first: list[str] = []
        self._last: deque[str] = deque()
        self._last_characters = 0
        self._omitted = 0

    def add(self, text: str) -> None:
        """Append ``text``."""
        self._first.append(text[: self._head_left])
        text = text[self._head_left :]
        self._head_left -= len(self._first[-1])
        if not text:
            return
        self._omitted += max(0, len(text) - self._tail)
        self._last.append(text[-self._tail :])
        self._last_characters += len(self._last[-1])
        while self._last_characters - len(self._last[0]) >= self._tail:
            dropped = len(self._last.popleft())
            self._last_characters -= dropped
            self._omitted += dropped

    def text(self) -> str:
        """Return the text, with a line in the middle that counts what was omitted."""
        omitted = f"\n[{self._omitted} characters omitted]\n" if self._omitted else ""
        return "".join([*self._first, omitted, *self._last])


class LineSplitter:
    """Split bytes that arrive in pieces into lines, of which each is cut to LINE_CHARACTERS."""

    def __init__(self) -> None:
        self._pending = bytearray()
        self._is_cut = False

    def feed(self, data: bytes) -> Iterator[str]:
        """Yield each line that is complete now, with its newline."""
        *complete, rest = data.split(b"\n")
        for part in complete:
            yield self._line(part) + "\n"
        self._collect(rest)

    def rest(self) -> Iterator[str]:
        """Yield the last line if it has no newline."""
        if self._pending:
            yield self._line(b"")

    def _collect(self, part: bytes) -> None:
        room = LINE_CHARACTERS - len(self._pending)
        self._pending += part[:room]
        self._is_cut |= len(part) > room

    def _line(self, part: bytes) -> str:
        self._collect(part)
        line = self._pending.decode("utf-8", "replace").removesuffix("\r")
        cut = " [line cut]" if self._is_cut else ""
        self._pending.clear()
        self._is_cut = False
        return line + cut

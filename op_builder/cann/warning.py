"""What a search for CANN notices about the install that it chooses."""

from __future__ import annotations

from enum import Enum, auto


class WarningKind(Enum):
    """What a :class:`CannWarning` is about."""

    UNUSABLE_VARIABLE = auto()  # an environment variable names no install, and another one is used
    DISAGREEMENT = auto()  # two places name different installs
    SEVERAL = auto()  # the highest of several versions is used
    UNKNOWN_VERSION = auto()


class CannWarning(str):
    """The text of a warning, and what it is about.

    Attributes:
        kind: What it is about.
        variable: The environment variable that names no install; "" for other kinds.
    """

    __slots__ = ("kind", "variable")

    kind: WarningKind
    variable: str

    def __new__(cls, kind: WarningKind, text: str, variable: str = "") -> CannWarning:
        """Return the text with its kind."""
        warning = super().__new__(cls, text)
        warning.kind = kind
        warning.variable = variable
        return warning

    def __getnewargs__(self) -> tuple[WarningKind, str, str]:  # type: ignore[override]
        """Return the arguments with which a copy is made."""
        return self.kind, str(self), self.variable

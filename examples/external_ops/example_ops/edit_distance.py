"""PYBIND11_MODULE: the edit distance of two sequences, for word and character error rates.

Use it for functions of Python objects, such as lists, strings and classes. The library works only
with the Python version that it was built with.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

from op_builder import CPUOpBuilder
from op_builder.toolchain import Toolchain


class EditDistanceBuilder(CPUOpBuilder):
    """``load()`` returns the extension module."""

    NAME = "edit_distance"
    BUILD_VAR = "DS_BUILD_EDIT_DISTANCE"
    BINDING = "python"

    def sources(self) -> list[str]:
        return ["edit_distance.cpp"]

    def compatibility(self, toolchain: Toolchain) -> list[str]:
        """Return the reasons why the op cannot be built; they are reported together."""
        reasons = super().compatibility(toolchain)
        if importlib.util.find_spec("pybind11") is None:
            reasons.append("pybind11 is not installed: `pip install pybind11`")
        return reasons


def edit_distance(reference: Sequence[str], hypothesis: Sequence[str]) -> int:
    """Return the Levenshtein distance: the fewest insertions, deletions and replacements.

    Strings are compared by characters, lists of words by words.

    Example:
        >>> edit_distance("kitten", "sitting")
        3
    """
    return int(EditDistanceBuilder().load().edit_distance(list(reference), list(hypothesis)))

"""PYBIND11_MODULE: the edit distance of two sequences, for word and character error rates.

For functions of Python's own objects: lists, strings, classes. The library works with the one
Python that it was built with.
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
        """What an op needs besides its binding it says here; all reasons are shown together."""
        reasons = super().compatibility(toolchain)
        if importlib.util.find_spec("pybind11") is None:
            reasons.append("pybind11 is not installed: `pip install pybind11`")
        return reasons


def edit_distance(reference: Sequence[str], hypothesis: Sequence[str]) -> int:
    """How many insertions, deletions and replacements make one of the other (Levenshtein).

    Of strings: characters; of lists of words: words.
    """
    return int(EditDistanceBuilder().load().edit_distance(list(reference), list(hypothesis)))

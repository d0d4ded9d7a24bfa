"""Where this project's own ops have their sources and their ahead-of-time builds."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


class OwnOp:
    """Mixed into the builders of ``op_builder.ops``, before the base of their device."""

    def source_root(self) -> Path:
        """``csrc``: inside the installed package, beside it in a checkout."""
        installed = _PACKAGE / "csrc"
        return installed if installed.is_dir() else _PACKAGE.parent / "csrc"

    def package(self) -> str:
        """The distribution that ``op_builder`` comes with."""
        return "ascend_ops"

    def prebuilt_dir(self) -> Path:
        """Inside the package, for all ops together."""
        return _PACKAGE / "prebuilt"

"""Sources and ahead-of-time builds of this project's own ops."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


class OwnOp:
    """A mixin for the builders of ``op_builder.ops``; list it before the base class."""

    def source_root(self) -> Path:
        """Return ``csrc``, which is inside the installed package or beside it in a checkout."""
        installed = _PACKAGE / "csrc"
        return installed if installed.is_dir() else _PACKAGE.parent / "csrc"

    def package(self) -> str:
        """Return the distribution that installs ``op_builder``."""
        return "ascend_ops"

    def prebuilt_dir(self) -> Path:
        """Return the folder inside the package that all ops share."""
        return _PACKAGE / "prebuilt"

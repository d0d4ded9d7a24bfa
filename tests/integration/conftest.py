"""The tests in this folder run on the emulated NPU; see ``tests/emulated_npu.py``."""

from __future__ import annotations

from emulated_npu import (
    calls_its_functions,
    on_its_socs,
    pytest_collection_modifyitems,
    user_folders,
)

__all__ = ["calls_its_functions", "on_its_socs", "pytest_collection_modifyitems", "user_folders"]

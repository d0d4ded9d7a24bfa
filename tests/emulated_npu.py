"""Run these tests on the emulated NPU unless --npu is given; skip them without torch_npu."""

from __future__ import annotations

import importlib.util
import os

import pytest
from limits import HANG_SECONDS

pytest_plugins: list[str] = []
os.environ["TORCH_DEVICE_BACKEND_AUTOLOAD"] = "0"
# The emulator reads its options once, when torch_npu is imported, which is before the tests fork.
os.environ.setdefault("ASCEND_EMULATOR_DEVICES", "8")
os.environ.setdefault("ASCEND_EMULATOR_HCCL_TIMEOUT_S", str(round(HANG_SECONDS)))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("npu", None) is None and importlib.util.find_spec("torch_npu"):
        config.option.npu = "emulated"
    for item in items:
        marker = item.get_closest_marker("npu")
        if marker is not None and "timeout" not in marker.kwargs:
            item.add_marker(pytest.mark.npu(timeout=HANG_SECONDS), append=False)


@pytest.fixture(autouse=True)
def user_folders() -> None:
    """Share one cache among all tests, since the emulator is built only once."""

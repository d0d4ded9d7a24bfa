"""Run these tests on the emulated NPU unless --npu is given; skip them without torch_npu."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Iterator

import pytest
from called_functions import ON_ASCEND_950, TESTS
from limits import HANG_SECONDS

from op_builder import envs

pytest_plugins: list[str] = []
os.environ["TORCH_DEVICE_BACKEND_AUTOLOAD"] = "0"
# torch_npu reads these when it is imported, which is before the tests fork.
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


@pytest.fixture
def on_its_socs(request: pytest.FixtureRequest) -> None:
    """Skip a test marked ``socs`` on other SoCs.

    The marker is for what CANN does not have on the others. A test of its own shows how it is
    refused there.
    """
    marker = request.node.get_closest_marker("socs")
    if marker is None:
        return
    soc = envs.EMULATOR_SOC.get()  # programs that a test starts are always emulated
    if request.config.getoption("npu") == "real" and request.node.get_closest_marker("npu"):
        from ascend_ops import acl

        soc = acl.soc_name()
    if not soc.startswith(marker.args):
        pytest.skip(f"is about {' and '.join(marker.args)}, this is {soc}")


@pytest.fixture(autouse=True)
def calls_its_functions(
    on_its_socs: None,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[None]:
    """Fail a test that does not call the functions that ``called_functions.TESTS`` names.

    Processes that the test starts count as part of it, so that each writes its own trace.
    """
    names = TESTS.get(request.node.nodeid.removeprefix("tests/"))
    if names is None or request.config.getoption("npu") != "emulated":
        yield
        return
    folder = tmp_path_factory.mktemp("traces")
    monkeypatch.setenv("ASCEND_EMULATOR_TRACE_FILE", str(folder / "%p.json"))
    yield
    called = set()
    for trace in folder.glob("*.json"):
        called |= set(re.findall(r'"name":"aclnn(\w+)"', trace.read_text(errors="replace")))
    wanted = set(names.split())
    if envs.EMULATOR_SOC.get().startswith("Ascend950"):
        wanted = {ON_ASCEND_950.get(name, name) for name in wanted}
    missing = sorted(wanted - called)
    assert not missing, f"the test must call {missing}: see called_functions.py"

"""A pytest plugin for tests that need an NPU: ``--npu=emulated|real|none`` and the marker ``npu``.

    pytest --npu=emulated

Each marked test runs in a process of its own, because torch_npu runs nothing after a first failed
operator, and because an NPU cannot be used on both sides of a fork. ``none``, the default, skips
them. The processes are forked from one that is set aside before the first test, so that tests
without the marker may run before, between and after, and may use autograd. Wide-scope fixtures are
set up anew for each marked test. ``--npu=emulated`` activates the emulated NPU before conftest
files and tests are imported, so that they may import torch and torch_npu as usual.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from op_builder.errors import AscendOpsError

from .missing_functions import advice

if TYPE_CHECKING:
    from .forked_tests import ForkServer

_SECONDS = 120.0
_server: pytest.StashKey[ForkServer] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option ``--npu``."""
    parser.getgroup("ascend_ops").addoption(
        "--npu",
        choices=("emulated", "real", "none"),
        default=None,
        help="what tests with the marker npu run on: the emulated NPU of ascend_ops, a real one, "
        "or none, which skips them (default)",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Activate the emulator before a conftest file imports torch, which imports torch_npu."""
    _activate(early_config.known_args_namespace.npu)


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker, and activate the emulator if a conftest file loaded this plugin."""
    config.addinivalue_line(
        "markers", "npu(timeout=120): needs an NPU, see --npu; runs in a process of its own"
    )
    _activate(config.getoption("npu"))


def _activate(chosen: str | None) -> None:
    if chosen != "emulated":
        return
    from . import activate

    try:
        activate()
    except AscendOpsError as error:
        raise pytest.UsageError(f"--npu=emulated: {error}") from error


def pytest_report_header(config: pytest.Config) -> str:
    """Report which NPU the tests use, also if pytest itself was started on the emulated one."""
    from . import is_active

    chosen = config.getoption("npu") or "none"
    emulated = chosen == "emulated" or (chosen == "real" and is_active())
    return f"npu: {'EMULATED, computed on the CPU' if emulated else chosen}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip the marked tests without ``--npu``."""
    if config.getoption("npu") in ("emulated", "real"):
        return
    skip = pytest.mark.skip(reason="needs an NPU: use --npu=emulated or --npu=real")
    for item in items:
        if item.get_closest_marker("npu"):
            item.add_marker(skip)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """Set aside the process that the marked tests are forked from."""
    items = [item for item in session.items if _has_own_process(item)]
    if not items or session.config.option.collectonly:
        return
    chosen = session.config.getoption("npu")
    _activate(chosen)
    from .forked_tests import ForkServer

    try:
        session.config.stash[_server] = ForkServer(items)
    except ImportError as error:
        raise pytest.UsageError(f"--npu={chosen}: {error}") from error


def pytest_sessionfinish(session: pytest.Session) -> None:
    """End that process."""
    server = session.config.stash.get(_server, None)
    if server is not None:
        server.stop()


def _has_own_process(item: pytest.Item) -> bool:
    return bool(item.get_closest_marker("npu")) and not item.get_closest_marker("skip")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Add advice to the report of a failure whose cause is a function that is not emulated."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    text = advice(report.longreprtext) if report.failed and _has_own_process(item) else None
    if text is not None:
        report.sections.append(("emulated NPU", text))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Run a marked test in its own process and log its reports."""
    if not _has_own_process(item):
        return None
    marker = item.get_closest_marker("npu")
    assert marker is not None
    hook = item.ihook
    hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    server = item.config.stash[_server]
    for report in server.run(item, float(marker.kwargs.get("timeout", _SECONDS))):
        hook.pytest_runtest_logreport(report=report)
    # A test in this process may have left fixtures set up that the next test does not use.
    item.session._setupstate.teardown_exact(nextitem)
    hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True

"""A builder's declaration becomes a spec, and load() builds once in all threads."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cache_entries
import pytest
from cann_trees import cann
from limits import HANG_SECONDS
from made_up_builders import ImpossibleBuilder, MadeUpBuilder

from op_builder import CPUOpBuilder, NPUOpBuilder, OpBuilder, builder
from op_builder.errors import IncompatibleOpError
from op_builder.jit import load
from op_builder.jit.plan import Plan
from op_builder.recipe.spec import Source
from op_builder.toolchain import Toolchain
from op_builder.toolchain.torch_install import PackageInstall

TORCH = PackageInstall(Path("/site/torch"), "2.13.0+cpu", "abc")


@pytest.fixture
def made_up(tmp_path: Path) -> type[MadeUpBuilder]:
    """Return a new builder class, whose op is not loaded yet."""
    (tmp_path / "a.cpp").write_text('extern "C" int f() { return 1; }\n', encoding="utf-8")

    class Fresh(MadeUpBuilder):
        root = tmp_path

    return Fresh


class FakeLoad:
    """A replacement for ``load_op`` that counts its calls and waits for the test."""

    def __init__(self, error: Exception | None = None) -> None:
        self.calls = 0
        self.called = threading.Event()
        self.go = threading.Event()
        self._error = error

    def __call__(self, plan: Plan, on_progress: Any = None) -> tuple[Any, Any, bool]:
        self.calls += 1
        self.called.set()
        assert self.go.wait(HANG_SECONDS)
        if self._error is not None:
            raise self._error
        return SimpleNamespace(op=plan.spec.name), SimpleNamespace(library="made_up.so"), True


def _in_threads(count: int, cls: type[OpBuilder], fake: FakeLoad) -> list[Any]:
    results: list[Any] = []

    def load() -> None:
        try:
            results.append(cls().load())
        except Exception as error:  # noqa: BLE001 - compared by the test
            results.append(error)

    threads = [threading.Thread(target=load) for _ in range(count)]
    for thread in threads:
        thread.start()
    fake.go.set()
    for thread in threads:
        thread.join()
    return results


def test_eight_threads_load_once(
    made_up: type[MadeUpBuilder], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeLoad()
    monkeypatch.setattr(load, "load_op", fake)
    results = _in_threads(8, made_up, fake)
    assert fake.calls == 1
    assert len({id(result) for result in results}) == 1
    assert made_up().load() is results[0]
    assert fake.calls == 1


def test_a_load_that_failed_is_tried_again(
    made_up: type[MadeUpBuilder], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeLoad(ValueError("no"))
    monkeypatch.setattr(load, "load_op", fake)
    results = _in_threads(2, made_up, fake)
    assert [str(result) for result in results] == ["no", "no"]
    good = FakeLoad()
    good.go.set()
    monkeypatch.setattr(load, "load_op", good)
    assert made_up().load().op == "made_up"


def test_a_class_and_its_subclass_are_two_ops(
    made_up: type[MadeUpBuilder], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeLoad()
    fake.go.set()
    monkeypatch.setattr(load, "load_op", fake)
    sub = type("Sub", (made_up,), {"NAME": "sub"})
    assert (made_up().load().op, sub().load().op) == ("made_up", "sub")


def test_upstream_22_a_fork_during_a_load_does_not_lock_the_child(
    made_up: type[MadeUpBuilder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """DeepSpeed #7918: broken fork. The lock's owner is a thread that the child does not have."""
    fake, childs_own = FakeLoad(), FakeLoad()
    childs_own.go.set()
    monkeypatch.setattr(load, "load_op", fake)
    loading = threading.Thread(target=lambda: made_up().load())
    loading.start()
    assert fake.called.wait(HANG_SECONDS)
    child = os.fork()
    if child == 0:
        monkeypatch.setattr(load, "load_op", childs_own)  # the thread may hold fake's locks
        os._exit(0 if made_up().load().op == "made_up" else 1)
    try:
        fake.go.set()
        loading.join()
        status = os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
        assert status is not None
        assert status.si_status == 0
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_every_reason_is_given(caplog: pytest.LogCaptureFixture) -> None:
    """All reasons are reported, not only the first or the last one."""
    with caplog.at_level(logging.WARNING):
        assert not ImpossibleBuilder().is_compatible()
        assert caplog.messages == []
        assert not ImpossibleBuilder().is_compatible(verbose=True)
    assert caplog.messages == ["impossible: there is no NPU", "impossible: the moon is full"]
    with pytest.raises(IncompatibleOpError) as caught:
        ImpossibleBuilder().load()
    assert caught.value.reasons == ("there is no NPU", "the moon is full")


@pytest.mark.parametrize("binding", ["stable", "torch"])
def test_without_torch_an_op_of_torchs_is_impossible(binding: str) -> None:
    class NeedsTorch(MadeUpBuilder):
        BINDING = binding

    assert NeedsTorch().compatibility(cache_entries.toolchain()) == [
        "torch is not installed: `pip install torch`"
    ]


def test_a_python_op_that_includes_torch_is_impossible_without_it() -> None:
    class NeedsTorch(MadeUpBuilder):
        BINDING = "python"

        def uses_torch(self) -> bool:
            return True

    toolchain = cache_entries.toolchain()
    assert NeedsTorch().compatibility(toolchain) == ["torch is not installed: `pip install torch`"]
    assert "torch" not in NeedsTorch().spec(toolchain).roots


def test_a_torch_that_is_too_old_is_named_with_what_to_install() -> None:
    class NeedsTorch(MadeUpBuilder):
        BINDING = "stable"

    old = cache_entries.toolchain(torch=replace(TORCH, version="2.9.1"))
    (reason,) = NeedsTorch().compatibility(old)
    assert reason.startswith("torch must be 2.10 or newer")
    assert "got 2.9.1" in reason
    assert "pip install 'torch>=2.10'" in reason


def test_an_npu_op_gives_the_reasons_of_torch_torch_npu_and_cann() -> None:
    class NeedsNpu(NPUOpBuilder):
        NAME, BUILD_VAR = "npu_op", "DS_BUILD_NPU_OP"

    reasons = NeedsNpu().compatibility(cache_entries.toolchain())
    text = "\n".join(reasons)
    for part in ("torch is not installed", "CANN", "set_env.sh", "torch_npu is not installed"):
        assert part in text
    assert len(reasons) == 3


def test_upstream_28_canns_headers_come_before_torch_npus(tmp_path: Path) -> None:
    """vllm-ascend #17059: both ship acl/acl_rt.h, with the same include guard."""

    class NeedsNpu(NPUOpBuilder):
        NAME, BUILD_VAR = "npu_op", "DS_BUILD_NPU_OP"

        def sources(self) -> list[str]:
            return ["a.cpp"]

        def include_paths(self) -> list[str | Path]:
            return ["mine"]

    root = cann(tmp_path, "8.5.0", machine=cache_entries.MACHINE)
    npu = PackageInstall(Path("/site/torch_npu"), "2.13.0", "def")
    toolchain = cache_entries.toolchain(
        environ={"ASCEND_HOME_PATH": str(root)}, torch=TORCH, torch_npu=npu
    )
    spec = NeedsNpu().spec(toolchain)
    own, ours, theirs = (
        spec.include_dirs[0],
        *(
            next(index for index, folder in enumerate(spec.include_dirs) if folder.startswith(name))
            for name in ("cann_include_0", "torch_npu/")
        ),
    )
    assert own == "source/mine"
    assert ours < theirs
    assert spec.bound_to["cann"] == "8.5.0"
    assert spec.bound_to["torch_npu"] == "2.13.0 def"
    assert "-lascendcl" in spec.ld_flags
    for folder in ("acl/inc", "hccl/inc", "op-plugin", "op-plugin/op_plugin/include"):
        assert f"torch_npu/include/third_party/{folder}" in spec.include_dirs
    assert "-DCURRENT_VERSION=V2R13" in spec.cxx_flags  # op-plugin's headers read it


def test_upstream_14_a_host_op_links_nothing_of_cann() -> None:
    """DeepSpeed #7174, #5813, #2337, #7452: all ops share one base class."""
    from op_builder import CPUAdamBuilder

    environ = {"ASCEND_HOME_PATH": "/broken", "PATH": os.defpath}
    plan = CPUAdamBuilder().plan(environ)
    text = " ".join([*plan.spec.ld_flags, *plan.spec.cxx_flags, *plan.spec.include_dirs])
    assert "cann" not in text
    assert "ascendcl" not in text
    assert "torch_npu" not in text
    assert set(plan.spec.roots) == {"source", "torch"}


def test_what_is_declared_stands_in_the_spec(made_up: type[MadeUpBuilder], tmp_path: Path) -> None:
    class Declared(made_up):  # type: ignore[misc, valid-type]
        NAMESPACE = "my_ns"

        def source_flags(self) -> dict[str, list[str]]:
            return {"a.cpp": ["-mavx2"], "not_a_source.cpp": ["-mno"]}

        def include_paths(self) -> list[str | Path]:
            return ["include", tmp_path / "abs dir", "."]

        def cxx_args(self) -> list[str]:
            return ["-ffast-math"]

        def extra_ldflags(self) -> list[str]:
            return ["-lm"]

    spec = Declared().spec(cache_entries.toolchain())
    assert spec.sources == (Source("a.cpp", ("-mavx2",)),)
    assert spec.namespace == "my_ns"
    assert spec.include_dirs == ("source/include", "include_1", "source")
    assert spec.roots["include_1"] == tmp_path / "abs dir"
    assert spec.cxx_flags[-1] == "-ffast-math"
    assert spec.ld_flags[-1] == "-lm"
    assert made_up().spec(cache_entries.toolchain()).namespace == "made_up"


def test_an_op_without_sources_is_an_error() -> None:
    class Empty(CPUOpBuilder):
        NAME, BUILD_VAR, BINDING = "empty", "DS_BUILD_EMPTY", "ctypes"

    with pytest.raises(NotImplementedError, match=r"Empty must define sources\(\)"):
        Empty().plan()


def test_detecting_a_toolchain_looks_at_files_only() -> None:
    found = Toolchain.detect({"PATH": "/nowhere"})
    assert found.target == f"linux-{cache_entries.MACHINE}"
    assert found.python_abi.endswith(".so")


def test_locks_are_one_a_class() -> None:
    assert builder._lock_of(MadeUpBuilder) is builder._lock_of(MadeUpBuilder)
    assert builder._lock_of(MadeUpBuilder) is not builder._lock_of(ImpossibleBuilder)


def test_builder_in_a_notebook_names_the_method_to_define() -> None:
    """``__main__`` has no ``__file__`` there, nor in ``python -c``."""
    program = (
        "from op_builder import CPUOpBuilder\n"
        "class Mine(CPUOpBuilder):\n"
        "    NAME, BUILD_VAR = 'mine', 'DS_BUILD_MINE'\n"
        "    def sources(self): return ['a.cpp']\n"
        "Mine().load()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert "Mine must define source_root(), since its module '__main__' has no file" in done.stderr

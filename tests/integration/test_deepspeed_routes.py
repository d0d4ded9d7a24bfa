"""How DeepSpeed finds these ops: the entry point, children, by hand, and what turns it off."""

from __future__ import annotations

import doctest
import json
import subprocess
import sys
import textwrap
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest
from deepspeed_runs import installed, needs, start

from ascend_ops.integrations import deepspeed
from ascend_ops.integrations.deepspeed import counters

pytestmark = [pytest.mark.compiler, *needs("deepspeed")]

OURS = "ascend_ops.integrations.deepspeed.builders"
_STEP = """
def step():
    import torch
    from deepspeed.ops.adam import DeepSpeedCPUAdam
    from deepspeed.accelerator import get_accelerator

    param = torch.nn.Parameter(torch.ones(4))
    param.grad = torch.ones(4)
    DeepSpeedCPUAdam([param], lr=0.5).step()
    from ascend_ops.integrations.deepspeed import calls

    return get_accelerator().device_name(), param.tolist(), calls().get("cpu_adam.adam_update", 0)
"""


def program(tmp_path: Path, code: str) -> str:
    file = tmp_path / "program.py"
    file.write_text(_STEP + textwrap.dedent(code), encoding="utf-8")
    return str(file)


@pytest.fixture
def path(tmp_path: Path) -> str:
    return installed(tmp_path)


def run(code: str, tmp_path: Path, path: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a program on the CPU accelerator, with the entry point."""
    variables = {"DS_ACCELERATOR": "cpu", "PYTHONPATH": path, **variables}
    return start(sys.executable, program(tmp_path, code), **variables)


@pytest.mark.skipif(find_spec("torch_npu") is None, reason="torch_npu is not installed")
def test_zero_touch_in_the_main_process_and_in_children(tmp_path: Path, path: str) -> None:
    code = """
    if __name__ == "__main__":
        import json, multiprocessing, sys
        found = {"main": step()}
        for method in ("spawn", "forkserver"):
            with multiprocessing.get_context(method).Pool(1) as pool:
                found[method] = pool.apply(step)
        sys.stdout.write("RESULT " + json.dumps(found))
    """
    done = start(sys.executable, program(tmp_path, code), PYTHONPATH=path)
    found = json.loads(done.stdout.partition("RESULT ")[2])
    assert set(found) == {"main", "spawn", "forkserver"}
    for device, param, calls in found.values():
        assert (device, calls) == ("npu", 1)
        assert param == pytest.approx([0.5] * 4)


def test_the_cpu_accelerator_and_the_list_of_all_ops(tmp_path: Path, path: str) -> None:
    code = """
    import json, sys
    found = step()
    from deepspeed.ops.op_builder.all_ops import ALL_OPS
    from deepspeed.accelerator import get_accelerator
    ops = {name: type(builder).__module__ for name, builder in ALL_OPS.items()}
    directory = get_accelerator().op_builder_dir()
    sys.stdout.write("RESULT " + json.dumps([found, ops, directory]))
    """
    found, ops, directory = json.loads(run(code, tmp_path, path).stdout.partition("RESULT ")[2])
    assert found == ["cpu", pytest.approx([0.5] * 4), 1]
    assert directory == OURS
    ours = {name for name, module in ops.items() if module.startswith(OURS)}
    assert {"cpu_adam", "cpu_adagrad", "cpu_lion", "fused_adam", "pin_memory"} <= ours
    assert "deepspeed_shm_comm" in set(ops) - ours  # the others remain DeepSpeed's


def test_a_variable_turns_it_off(tmp_path: Path, path: str) -> None:
    code = """
    import sys
    from deepspeed.ops.op_builder import CPUAdamBuilder
    from ascend_ops.integrations import deepspeed as ours
    sys.stdout.write(f"{CPUAdamBuilder.__module__} {ours.is_active()} {ours.activate()}")
    """
    done = run(code, tmp_path, path, ASCEND_OPS_DEEPSPEED="0")
    assert done.stdout.endswith("deepspeed.ops.op_builder.cpu.cpu_adam False False")


BROKEN = """
from ascend_ops.integrations import deepspeed
from ascend_ops.integrations.deepspeed import counters
def broken(*_):
    raise OSError("broken on purpose")
deepspeed.after_import = broken
"""


@pytest.mark.parametrize(
    ("before", "variable", "reason"),
    [(BROKEN, "1", "broken on purpose"), ("", "perhaps", "ASCEND_OPS_DEEPSPEED")],
)
def test_a_broken_hook_is_logged_and_torch_is_imported(
    tmp_path: Path, path: str, before: str, variable: str, reason: str
) -> None:
    file = tmp_path / "broken.py"
    file.write_text(before + "import torch; print(torch.ones(2).sum().item())", encoding="utf-8")
    done = start(sys.executable, str(file), PYTHONPATH=path, ASCEND_OPS_DEEPSPEED=variable)
    assert done.stdout.endswith("2.0\n")
    assert "DeepSpeed keeps its own ops" in done.stderr
    assert reason in done.stderr


def test_by_hand_without_entry_points(tmp_path: Path, path: str) -> None:
    code = """
    import json, sys
    from ascend_ops.integrations import deepspeed as ours
    before = ours.is_active()
    ours.activate()
    sys.stdout.write("RESULT " + json.dumps([before, ours.is_active(), step()[2]]))
    """
    done = run(code, tmp_path, path, TORCH_DEVICE_BACKEND_AUTOLOAD="0")
    assert json.loads(done.stdout.partition("RESULT ")[2]) == [False, True, 1]


def test_by_hand_after_the_import_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "deepspeed.accelerator.npu_accelerator"
    monkeypatch.setattr(deepspeed, "_active", False)
    monkeypatch.delenv("ASCEND_OPS_DEEPSPEED", raising=False)
    monkeypatch.setitem(sys.modules, name, ModuleType(name))
    with pytest.raises(RuntimeError, match=r"npu_accelerator was imported before .*activate\(\)"):
        deepspeed.activate()
    assert not deepspeed.is_active()


@pytest.mark.parametrize("module", [deepspeed, counters])
def test_the_examples_run(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deepspeed, "_active", False)
    monkeypatch.setattr(deepspeed, "after_import", lambda *_: None)
    monkeypatch.delenv("ASCEND_OPS_DEEPSPEED", raising=False)
    found = doctest.testmod(module)
    assert found.attempted
    assert not found.failed

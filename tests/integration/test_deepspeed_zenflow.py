"""ZenFlow's overlapped steps: AdamW in a second process, driven through shared memory."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from deepspeed_runs import installed, one_rank, start

from ascend_ops.integrations.deepspeed import zenflow
from op_builder import CPUAdamBuilder

Tensor = torch.Tensor
VALUES = (1e-2, 0.9, 0.99, 1e-8, 0.1)  # lr, beta1, beta2, eps, weight_decay


def functions(adam_update: Callable[..., Any] = lambda *_: None) -> dict[str, Callable[..., Any]]:
    return {
        name.removeprefix("zenflow_adam_"): function
        for name, function in zenflow.functions(adam_update).items()
    }


def block(called: dict[str, Callable[..., Any]], groups: int) -> Tensor:
    control = torch.zeros(called["ctrl_size"](), dtype=torch.uint8).share_memory_()
    called["ctrl_init"](control.data_ptr(), groups)
    return control


def submit(
    called: dict[str, Callable[..., Any]], control: Tensor, state: int, step: int, groups: int
) -> None:
    lists = ([value] * groups for value in VALUES)
    called["submit"](control.data_ptr(), state, step, *lists, [1] * groups)


@pytest.mark.compiler
def test_steps_equal_those_of_adam_update_on_alternating_states() -> None:
    op = CPUAdamBuilder().load()
    op.create_adam(101, 1e-3, 0.9, 0.999, 1e-8, 0.0, True, False)
    called = functions(op.adam_update)
    handle = called["create"](101, [0])
    groups, expected = [], []
    for size in (33, 7):
        param, grad0, grad1 = torch.randn(3, size, generator=torch.Generator().manual_seed(size))
        group = (param, grad0, grad1, *torch.zeros(5, size).unbind())
        groups.append([part.clone() for part in group])
        expected.append([part.clone() for part in group])
        called["register_group"](handle, *groups[-1])
    control = block(called, 2)
    worker = threading.Thread(target=called["run_worker"], args=(handle, control.data_ptr()))
    worker.start()
    for step, state in enumerate((0, 1, 1, 0), 1):
        submit(called, control, state, step, 2)
        assert called["wait"](control.data_ptr(), 600.0)
        for (*found, stale), (param, *others, _) in zip(groups, expected, strict=True):
            states = others[state::2]  # a gradient and two moments
            op.adam_update(101, step, *VALUES, True, param, *states)
            assert torch.equal(found[0], param)
            assert torch.equal(stale, param)
            assert all(torch.equal(a, b) for a, b in zip(found[1:], others, strict=True))
    called["ctrl_exit"](control.data_ptr())
    worker.join()
    called["destroy"](handle)
    op.destroy_adam(101)


def test_a_wait_without_a_step_ends_after_its_time() -> None:
    called = functions()
    control = block(called, 1)
    assert called["wait"](control.data_ptr(), 0.01) is False


def test_a_worker_whose_training_process_is_gone_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    called = functions()
    parents = iter((2, 2, 1))
    monkeypatch.setattr(os, "getppid", lambda: next(parents))
    monkeypatch.setattr(zenflow, "_POLL_SECONDS", 0.01)
    handle = called["create"](0, [])
    control = block(called, 1)
    called["run_worker"](handle, control.data_ptr())
    assert next(parents, None) is None


def test_what_does_not_fit_is_refused() -> None:
    called = functions()
    foreign = torch.zeros(called["ctrl_size"](), dtype=torch.uint8)
    with pytest.raises(RuntimeError, match="the training process of ZenFlow has DeepSpeed's own"):
        called["wait"](foreign.data_ptr(), 0.0)
    with pytest.raises(ValueError, match="at most 4096 groups of parameters, got 4097"):
        called["ctrl_init"](foreign.data_ptr(), 4097)
    handle = called["create"](0, [])
    control = block(called, 2)
    submit(called, control, 0, 1, 2)
    with pytest.raises(ValueError, match="must have hyperparameters, got 2 of them for 0 groups"):
        called["run_worker"](handle, control.data_ptr())


_PROGRAM = """
import json, sys
sys.path.insert(0, sys.argv[1])
from deepspeed_program import *

def main():
    import deepspeed
    from ascend_ops.integrations.deepspeed import calls

    net = model()
    config = configuration(2, "bf16", "AdamW", True)
    config["zero_optimization"]["zenflow"] = {
        "topk_ratio": 0.2, "select_strategy": "step", "select_interval": 2,
        "update_interval": 1, "overlap_step": True,
    }
    engine, *_ = deepspeed.initialize(
        model=net, model_parameters=net.parameters(), config=config)
    losses = []
    x, y = (t.to(engine.device, torch.bfloat16) for t in next(batches(0, 1)))
    for _ in range(6):
        loss = loss_of(engine, x, y)
        engine.backward(loss)
        engine.step()
        losses.append(loss.item())
    engine.destroy()
    sys.stdout.write("RESULT " + json.dumps({"losses": losses, "calls": calls()}) + "\\n")

if __name__ == "__main__":
    main()
"""


@pytest.mark.compiler
@pytest.mark.skipif(find_spec("deepspeed") is None, reason="deepspeed is not installed")
@pytest.mark.skipif(find_spec("torch_npu") is None, reason="torch_npu is not installed")
def test_deepspeeds_engine_trains_with_overlapped_steps(tmp_path: Path) -> None:
    """ZeRO-2: in stage 3, DeepSpeed 0.19.8 puts ZenFlow's gradients on the device "cuda"."""
    file = tmp_path / "zenflow_program.py"
    file.write_text(_PROGRAM, encoding="utf-8")
    command = (sys.executable, str(file), str(Path(__file__).parent))
    done = start(*command, PYTHONPATH=installed(tmp_path), **one_rank())
    found = json.loads(done.stdout.partition("RESULT ")[2].splitlines()[0])
    assert found["losses"][-1] < 0.9 * found["losses"][0]
    assert found["calls"]["cpu_adam.zenflow_adam_submit"] == 6

"""The step counters, which the ops read and increment, and checks that run in parallel."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from ascend_ops import CPUAdagrad, CPUAdam, CPULion
from ascend_ops.cpu_optimizers.base import CPUOptimizer

pytestmark = pytest.mark.compiler

CLASSES = (CPUAdam, CPULion, CPUAdagrad)
#: Enough parameters for more than two threads to check them.
MANY = 300


def parameters(count: int) -> list[torch.nn.Parameter]:
    params = [torch.nn.Parameter(torch.ones(3)) for _ in range(count)]
    for param in params:
        param.grad = torch.ones(3)
    return params


def values(params: list[torch.nn.Parameter]) -> list[torch.Tensor]:
    return [param.detach().clone() for param in params]


def spoil(optimizer: CPUOptimizer, param: torch.nn.Parameter) -> None:
    """Replace a state by one whose dtype the op does not support."""
    optimizer.state[param][optimizer.STATES[0]] = torch.ones(3, dtype=torch.float16)


@pytest.mark.parametrize("optimizer_class", CLASSES)
def test_every_counter_counts_its_own_parameters_updates(
    optimizer_class: type[CPUOptimizer],
) -> None:
    params = parameters(3)
    optimizer = optimizer_class(params)  # type: ignore[call-arg, arg-type]
    optimizer.step()
    params[1].grad = None
    optimizer.step()
    assert [float(optimizer.state[param]["step"]) for param in params] == [2.0, 1.0, 2.0]


@pytest.mark.parametrize("optimizer_class", CLASSES)
def test_a_refused_step_counts_nothing(optimizer_class: type[CPUOptimizer]) -> None:
    params = parameters(3)
    optimizer = optimizer_class(params)  # type: ignore[call-arg, arg-type]
    optimizer.step()
    spoil(optimizer, params[2])
    with pytest.raises(RuntimeError, match=r"parameter 2 of 3: .*float16"):
        optimizer.step()
    assert [float(optimizer.state[param]["step"]) for param in params] == [1.0, 1.0, 1.0]


def bad_counters() -> Iterator[Any]:
    yield torch.tensor(1), "be one element of dtype float32, got int64"
    yield torch.ones(2), r"be one element of .* of shape \[2\]"
    yield torch.tensor(math.nan), "be a number of updates of at least 0, got nan"
    yield torch.tensor(-1.0), "be a number of updates of at least 0, got -1"
    yield torch.tensor(1.0, device="meta"), "be on the CPU, got a tensor on meta"


@pytest.mark.parametrize(("counter", "message"), list(bad_counters()))
@pytest.mark.parametrize("optimizer_class", CLASSES)
def test_an_invalid_counter_stops_the_step(
    optimizer_class: type[CPUOptimizer], counter: torch.Tensor, message: str
) -> None:
    params = parameters(3)
    optimizer = optimizer_class(params)  # type: ignore[call-arg, arg-type]
    optimizer.step()
    optimizer.state[params[1]]["step"] = counter
    before = values(params)
    with pytest.raises(RuntimeError, match=f"parameter 1 of 3: step must {message}"):
        optimizer.step()
    assert all(map(torch.equal, params, before))
    assert float(optimizer.state[params[0]]["step"]) == 1.0


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_a_loaded_counter_is_float32_whatever_the_default_dtype(dtype: torch.dtype) -> None:
    params = parameters(1)
    optimizer = CPUAdam(params)
    optimizer.step()
    saved = optimizer.state_dict()
    saved["state"][0]["step"] = torch.tensor(257.0)  # not a number that bfloat16 has
    torch.set_default_dtype(dtype)
    try:
        optimizer.load_state_dict(saved)
    finally:
        torch.set_default_dtype(torch.float32)
    optimizer.step()
    assert float(optimizer.state[params[0]]["step"]) == 258.0


def test_the_first_of_many_bad_parameters_is_named_and_none_was_changed() -> None:
    params = parameters(MANY)
    optimizer = CPUAdam(params)
    optimizer.step()
    for i in (MANY - 1, 260, 140, 139):
        spoil(optimizer, params[i])
    before = values(params)
    with pytest.raises(RuntimeError, match=f"parameter 139 of {MANY}: exp_avg must .*got float16"):
        optimizer.step()
    assert all(map(torch.equal, params, before))


def test_parameters_of_one_memory_are_refused_wherever_they_stand() -> None:
    params = parameters(MANY)
    params[MANY - 1].data = params[0].data
    with pytest.raises(RuntimeError, match="two that share 12 bytes"):
        CPUAdam(params).step()


def test_many_parameters_of_different_steps_are_updated_as_torch_does() -> None:
    torch.manual_seed(0)
    ours = parameters(MANY)
    theirs = parameters(MANY)
    optimizers = [CPUAdam(ours), torch.optim.AdamW(theirs)]
    for step in range(4):
        for i in range(MANY):
            grad = None if (i + step) % 3 == 0 else torch.randn(3)
            ours[i].grad, theirs[i].grad = grad, grad
        for optimizer in optimizers:
            optimizer.step()
    for our, their in zip(ours, theirs, strict=True):
        torch.testing.assert_close(our, their, rtol=1e-6, atol=1e-6)

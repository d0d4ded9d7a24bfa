"""Steps of many tensors go past the dispatcher, unless somebody wants to see them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from ascend_ops import CPUAdagrad, CPUAdam, CPULion
from ascend_ops.cpu_optimizers import python_step

pytestmark = pytest.mark.compiler
COUNT = 20


def transposed(size: int) -> torch.Tensor:
    return torch.randn(size, 5).t()


def make(optimizer: Any, dtype: torch.dtype, shape: Callable[[int], torch.Tensor], **options: Any):
    torch.manual_seed(7)
    params = [torch.nn.Parameter(shape(3 + i).to(dtype)) for i in range(COUNT)]
    for param in params:
        param.grad = torch.randn_like(param)
    return optimizer(params, lr=0.25, **options), params


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Record whether each call went past the dispatcher."""
    outcomes = []
    real = python_step._past_dispatcher

    def recorded(*arguments: Any) -> bool:
        outcomes.append(real(*arguments))
        return outcomes[-1]

    monkeypatch.setattr(python_step, "_past_dispatcher", recorded)
    return outcomes


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("optimizer", [CPUAdam, CPULion, CPUAdagrad])
@pytest.mark.parametrize("shape", [torch.randn, transposed])
def test_it_computes_the_same_bits(
    optimizer: Any,
    dtype: torch.dtype,
    shape: Callable[[int], torch.Tensor],
    taken: list[bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    past, params = make(optimizer, dtype, shape, weight_decay=0.125)
    for _ in range(3):
        past.step()
    assert taken == [True] * 3
    monkeypatch.setattr(python_step, "_FEWEST", COUNT + 1)
    through, expected = make(optimizer, dtype, shape, weight_decay=0.125)
    for _ in range(3):
        through.step()
    assert len(taken) == 3
    for param, other in zip(params, expected, strict=True):
        assert torch.equal(param, other)
        for name, value in past.state[param].items():
            assert torch.equal(value, through.state[other][name]), name
    assert past.state[params[0]]["step"] == 3


def test_autograd_sees_the_change(taken: list[bool]) -> None:
    optimizer, params = make(CPUAdam, torch.float32, torch.randn)
    loss = (params[0] * params[0]).sum()
    optimizer.step()
    assert taken == [True]
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


class _Subclass(torch.Tensor):
    pass


class _Dispatch(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))


class _Function(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))


@contextlib.contextmanager
def profiler() -> Iterator[None]:
    with torch.autograd.profiler.profile() as profile:
        yield
    assert "ascend_ops_cpu_adam::adam_step" in {event.name for event in profile.function_events}


@pytest.mark.parametrize("observer", [_Dispatch, _Function, profiler])
def test_an_observer_sees_the_op(
    observer: Callable[[], AbstractContextManager[Any]], taken: list[bool]
) -> None:
    optimizer, _ = make(CPUAdam, torch.float32, torch.randn)
    with observer():
        optimizer.step()
    assert taken == [False]


def a_subclass(params: list[Any]) -> None:
    params[9].grad = params[9].grad.as_subclass(_Subclass)


def a_strided_gradient(params: list[Any]) -> None:
    params[9].grad = torch.randn(2 * params[9].numel())[::2].view(params[9].shape)


@pytest.mark.parametrize("change", [a_subclass, a_strided_gradient])
def test_other_tensors_go_through_the_dispatcher(
    change: Callable[[list[Any]], None], taken: list[bool]
) -> None:
    optimizer, params = make(CPUAdam, torch.float32, torch.randn)
    before = params[9].detach().clone()
    change(params)
    optimizer.step()
    assert taken == [False]
    assert not torch.equal(params[9], before)


def another_dtype(params: list[Any]) -> None:
    params[9].data = params[9].data.double()


def shared_memory(params: list[Any]) -> None:
    params[9].data = params[8].data[:1].expand(params[9].shape)


def a_shorter_one(params: list[Any]) -> None:
    params[9].data = params[9].data[:2].clone()


@pytest.mark.parametrize("damage", [another_dtype, shared_memory, a_shorter_one])
def test_errors_are_the_dispatchers_and_nothing_is_changed(
    damage: Callable[[list[Any]], None], taken: list[bool]
) -> None:
    optimizer, params = make(CPUAdam, torch.float32, torch.randn)
    optimizer.step()
    before = [param.detach().clone() for param in params[:9]]
    damage(params)
    with pytest.raises(RuntimeError, match=f"parameter 9 of {COUNT}: .* must .*, got"):
        optimizer.step()
    assert taken == [True, False]
    assert all(torch.equal(*pair) for pair in zip(params, before, strict=False))
    assert optimizer.state[params[0]]["step"] == 1


def test_groups_are_all_checked_before_one_is_changed(taken: list[bool]) -> None:
    _, params = make(CPULion, torch.float32, torch.randn)
    bad = torch.nn.Parameter(torch.ones(3, dtype=torch.float64))
    bad.grad = torch.ones_like(bad)
    optimizer = CPULion([{"params": params}, {"params": [bad]}])
    before = [param.detach().clone() for param in params]
    with pytest.raises(RuntimeError, match="params must have dtype"):
        optimizer.step()
    assert taken == [True]  # the check
    assert all(torch.equal(*pair) for pair in zip(params, before, strict=True))


def test_a_torch_without_the_table_uses_the_dispatcher(
    taken: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(python_step, "_describe", lambda: None)
    optimizer, params = make(CPUAdam, torch.float32, torch.randn)
    optimizer.step()
    assert taken == [False]
    assert optimizer.state[params[0]]["step"] == 1

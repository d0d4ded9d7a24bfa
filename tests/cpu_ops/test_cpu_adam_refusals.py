"""``CPUAdam`` refuses bad arguments without changing anything."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from ascend_ops import CPUAdam, FusedAdamW

pytestmark = pytest.mark.compiler


def bad_groups() -> Iterator[tuple[dict[str, Any], str]]:
    yield {"lr": math.nan}, "lr must be a finite number of at least 0, got nan"
    yield {"lr": -1e-3}, "lr must be a finite number of at least 0, got -0.001"
    yield {"lr": math.inf}, "lr must be a finite number of at least 0, got inf"
    yield {"eps": math.nan}, "eps must be a finite number of at least 0, got nan"
    yield {"weight_decay": -0.1}, "weight_decay must be a finite number of at least 0, got -0.1"
    yield {"betas": (1.0, 0.999)}, r"betas\[0\] must be at least 0 and less than 1, got 1.0"
    yield {"betas": (0.9, math.nan)}, r"betas\[1\] must be .* got nan"
    yield {"betas": (0.9,)}, r"betas must be two numbers, got \(0.9,\)"
    yield {"amsgrad": True}, "amsgrad must be False, got True: pass amsgrad=False or use torch"
    yield {"capturable": True}, "capturable must be False, got True"
    yield {"differentiable": True}, "differentiable must be False, got True"


@pytest.mark.parametrize(("arguments", "message"), list(bad_groups()))
def test_hyperparameters_that_make_no_sense_are_refused(
    arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        CPUAdam([torch.nn.Parameter(torch.ones(2))], **arguments)
    with pytest.raises(ValueError, match=message):
        CPUAdam([{"params": [torch.nn.Parameter(torch.ones(2))], **arguments}])


def bad_parameters() -> Iterator[Any]:
    base = torch.ones(8)
    yield torch.ones(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64), "float32"
    yield torch.ones(3, dtype=torch.complex64), torch.ones(3, dtype=torch.complex64), "float32"
    yield torch.ones(3, device="meta"), torch.ones(3, device="meta"), "meta"
    yield base[:1].expand(4), torch.ones(4), "share memory"


@pytest.mark.parametrize(("values", "grad", "message"), list(bad_parameters()))
def test_a_tensor_that_cannot_be_updated_stops_the_step_before_it_changed_any(
    values: torch.Tensor, grad: torch.Tensor, message: str
) -> None:
    good = torch.nn.Parameter(torch.ones(3))
    good.grad = torch.ones(3)
    bad = torch.nn.Parameter(values)
    bad.grad = grad
    optimizer = CPUAdam([{"params": [good]}, {"params": [bad]}])
    with pytest.raises(RuntimeError, match=message):
        optimizer.step()
    assert torch.equal(good, torch.ones(3))
    assert optimizer.state[good]["step"] == 0


def test_hyperparameters_that_turn_nan_later_change_nothing() -> None:
    good = torch.nn.Parameter(torch.ones(3))
    good.grad = torch.ones(3)
    other = torch.nn.Parameter(torch.ones(3))
    other.grad = torch.ones(3)
    optimizer = CPUAdam([{"params": [good]}, {"params": [other]}])
    optimizer.param_groups[1]["lr"] = math.nan
    with pytest.raises(RuntimeError, match="lr"):
        optimizer.step()
    assert torch.equal(good, torch.ones(3))


def test_sparse_gradients_are_refused() -> None:
    embedding = torch.nn.Embedding(10, 3, sparse=True)
    optimizer = CPUAdam(embedding.parameters())
    embedding(torch.tensor([1, 2])).sum().backward()
    with pytest.raises(RuntimeError, match="grads must be dense, got a sparse tensor"):
        optimizer.step()


def test_a_state_of_another_shape_is_refused() -> None:
    param = torch.nn.Parameter(torch.ones(3))
    param.grad = torch.ones(3)
    optimizer = CPUAdam([param])
    optimizer.step()
    optimizer.state[param]["exp_avg"] = torch.zeros(4)
    before = param.detach().clone()
    with pytest.raises(RuntimeError, match=r"exp_avg.*\[3\].*\[4\]"):
        optimizer.step()
    assert torch.equal(param, before)


def test_parameters_that_share_memory_are_refused() -> None:
    memory = torch.ones(6)
    params = [torch.nn.Parameter(memory[:4]), torch.nn.Parameter(memory[2:])]
    for param in params:
        param.grad = torch.ones(4)
    with pytest.raises(RuntimeError, match="overlap"):
        CPUAdam(params).step()


def test_a_state_that_is_refused_changes_nothing() -> None:
    param = torch.nn.Parameter(torch.ones(4))
    optimizer = CPUAdam([param], lr=0.1)
    foreign = torch.optim.AdamW([torch.nn.Parameter(torch.ones(4))], lr=0.5, amsgrad=True)
    with pytest.raises(ValueError, match="amsgrad"):
        optimizer.load_state_dict(foreign.state_dict())
    assert optimizer.param_groups[0]["amsgrad"] is False
    assert optimizer.param_groups[0]["lr"] == 0.1
    assert not optimizer.state


def test_a_loaded_state_shares_nothing_with_its_source() -> None:
    params = [torch.nn.Parameter(torch.ones(4)) for _ in range(2)]
    source, target = CPUAdam(params[:1]), CPUAdam(params[1:])
    params[0].grad = params[1].grad = torch.ones(4)
    source.step()
    target.load_state_dict(source.state_dict())
    source.step()
    assert target.state[params[1]]["step"].item() == 1
    assert source.state[params[0]]["step"].item() == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"grads": None}, "grads must be a list of tensors, got NoneType"),
        ({"grads": [None]}, r"grads\[0\] must be a tensor, got NoneType"),
        (
            {"low_precision_params": None},
            "low_precision_params must be a list of tensors, got None",
        ),
        ({"low_precision_params": [None]}, r"low_precision_params\[0\] must be a tensor"),
        ({"device_params": [3]}, r"device_params\[0\] must be a tensor, got int"),
    ],
)
def test_something_else_than_a_tensor_is_a_type_error(
    arguments: dict[str, Any], message: str
) -> None:
    param = torch.nn.Parameter(torch.ones(3))
    optimizer = CPUAdam([param])
    with pytest.raises(TypeError, match=message):
        optimizer.offload_step(**{"grads": [torch.ones(3)], **arguments})
    assert torch.equal(param, torch.ones(3))


@pytest.mark.parametrize("cls", [CPUAdam, FusedAdamW])
def test_something_else_than_a_number_is_refused_by_name(cls: Any) -> None:
    param = torch.nn.Parameter(torch.ones(3))
    for value in (None, "fast"):
        with pytest.raises(TypeError, match=f"lr must be a number, got {value!r}"):
            cls([param], lr=value)
    for value in (None, 0.9):
        with pytest.raises(ValueError, match=f"betas must be two numbers, got {value}"):
            cls([param], betas=value)
    with pytest.raises(TypeError, match="noop_flag must be a tensor, got int"):
        FusedAdamW([param]).step(noop_flag=1)

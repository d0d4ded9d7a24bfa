"""``CPULion`` and the module ``cpu_lion`` against the paper's algorithm in float64."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from ascend_ops import CPULion
from op_builder import CPULionBuilder

pytestmark = pytest.mark.compiler

DTYPES = [torch.float32, torch.bfloat16, torch.float16]


def exact_step(
    params: torch.Tensor,
    grads: torch.Tensor,
    exp_avg: torch.Tensor,
    lr: float,
    betas: tuple[float, float],
    weight_decay: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Chen et al., https://arxiv.org/abs/2302.06675, algorithm 2.

    The parameter is NaN if the two terms cancel so far that float32 cannot determine the sign.
    """
    p, g, m = params.detach().double(), grads.double(), exp_avg.double()
    terms = betas[0] * m, (1 - betas[0]) * g
    direction = terms[0] + terms[1]
    update = torch.sign(direction)
    update[direction.abs() < 1e-7 * (terms[0].abs() + terms[1].abs())] = math.nan
    p = p * (1 - lr * weight_decay) - lr * update
    return p, betas[1] * m + (1 - betas[1]) * g


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("fp32_states", [True, False])
@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
@pytest.mark.parametrize("maximize", [True, False])
def test_three_steps_follow_the_paper(
    dtype: torch.dtype, fp32_states: bool, weight_decay: float, maximize: bool
) -> None:
    generator = torch.Generator().manual_seed(0)
    param = torch.nn.Parameter(torch.randn(1031, generator=generator).to(dtype))
    optimizer = CPULion(
        [param],
        lr=0.01,
        betas=(0.8, 0.95),
        weight_decay=weight_decay,
        maximize=maximize,
        fp32_optimizer_states=fp32_states,
    )
    exp_avg = torch.zeros(1031, dtype=torch.float32 if fp32_states else dtype)
    for _ in range(3):
        param.grad = torch.randn(1031, generator=generator).to(dtype)
        grad = -param.grad if maximize else param.grad
        wanted = exact_step(param, grad, exp_avg, 0.01, (0.8, 0.95), weight_decay)
        optimizer.step()
        exp_avg = optimizer.state[param]["exp_avg"]
        for found, exact in zip((param.detach(), exp_avg), wanted, strict=True):
            eps = torch.finfo(found.dtype).eps
            known = ~exact.isnan()
            assert known.double().mean() > 0.99
            torch.testing.assert_close(found.double()[known], exact[known], rtol=eps, atol=1e-7)
        exp_avg = exp_avg.clone()


def test_the_module_updates_as_deepspeed_calls_it() -> None:
    module: Any = CPULionBuilder().load()
    module.create_lion(4, 1.0, 0.1, 0.1, 9.0, False)
    params, grads, exp_avg = (torch.randn(1000) for _ in range(3))
    wanted = exact_step(params, grads, exp_avg, 0.02, (0.9, 0.99), 0.1)
    assert module.lion_update(4, 1, 0.02, 0.9, 0.99, 0.1, params, grads, exp_avg) == 0
    torch.testing.assert_close(params.double(), wanted[0], rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(exp_avg.double(), wanted[1], rtol=1e-6, atol=1e-7)
    assert module.destroy_lion(4) == 0
    with pytest.raises(RuntimeError, match="create_lion"):
        module.lion_update(4, 1, 0.02, 0.9, 0.99, 0.1, params, grads, exp_avg)


def test_its_state_survives_a_state_dict() -> None:
    param = torch.nn.Parameter(torch.randn(50).bfloat16())
    param.grad = torch.randn(50).bfloat16()
    optimizer = CPULion([param])
    optimizer.step()
    loaded = CPULion([param])
    loaded.load_state_dict(optimizer.state_dict())
    assert loaded.state[param]["exp_avg"].dtype == torch.float32
    assert torch.equal(loaded.state[param]["exp_avg"], optimizer.state[param]["exp_avg"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lr": math.nan}, "lr"),
        ({"betas": (0.9, 1.0)}, r"betas\[1\]"),
        ({"weight_decay": -1}, "weight"),
    ],
)
def test_hyperparameters_that_make_no_sense_are_refused(
    arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        CPULion([torch.nn.Parameter(torch.ones(2))], **arguments)


def test_a_wrong_tensor_stops_the_step_before_it_changed_any() -> None:
    good = torch.nn.Parameter(torch.ones(3))
    bad = torch.nn.Parameter(torch.ones(3, dtype=torch.float64))
    good.grad, bad.grad = torch.ones(3), torch.ones(3, dtype=torch.float64)
    with pytest.raises(RuntimeError, match="got float64"):
        CPULion([{"params": [good]}, {"params": [bad]}]).step()
    assert torch.equal(good, torch.ones(3))


def test_sparse_gradients_are_refused() -> None:
    embedding = torch.nn.Embedding(10, 3, sparse=True)
    embedding(torch.tensor([1, 2])).sum().backward()
    with pytest.raises(RuntimeError, match="sparse"):
        CPULion(embedding.parameters()).step()

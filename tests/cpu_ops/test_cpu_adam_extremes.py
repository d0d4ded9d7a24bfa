"""``CPUAdam`` at the ends of float32's range, beside torch's float32 and float64."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from ascend_ops import CPUAdam
from op_builder import CPUAdamBuilder

pytestmark = pytest.mark.compiler

VALUES = (0.0, 1e-45, 1e-38, 1e-25, 1e-10, 1.0, 1e10, 1.8e19, 1.9e19, 6e20, 1e38, 1.6e38, 3e38)


def trained(cls: Any, dtype: torch.dtype, grads: list[torch.Tensor], **settings: Any) -> list[Any]:
    """Return parameters and states after the steps."""
    coupled = settings.pop("coupled", False)
    if cls is torch.optim.AdamW and coupled:
        cls = torch.optim.Adam
    elif coupled:
        settings["decoupled_weight_decay"] = False
    param = torch.nn.Parameter(torch.linspace(-2, 3, len(grads[0])).to(dtype))
    optimizer = cls([param], **settings)
    for grad in grads:
        param.grad = grad.to(dtype, copy=True)
        optimizer.step()
    return [param.detach(), *(optimizer.state[param][name] for name in CPUAdam.STATES)]


@pytest.mark.parametrize("lr", [0.0, 1e-10, 1e-3, 100.0])
@pytest.mark.parametrize("eps", [0.0, 1e-45, 1e-30, 1e-8])
@pytest.mark.parametrize("betas", [(0.0, 0.0), (0.5, 0.0), (0.9, 0.999), (0.99, 0.9)])
@pytest.mark.parametrize("coupled", [False, True])
def test_a_result_is_finite_if_torchs_is(
    lr: float, eps: float, betas: tuple[float, float], coupled: bool
) -> None:
    generator = torch.Generator().manual_seed(0)
    chosen = torch.tensor(VALUES)[torch.randint(len(VALUES), (3, 400), generator=generator)]
    signs = 1 - 2 * torch.randint(2, (3, 400), generator=generator)
    grads = list(chosen * signs)
    settings = {"lr": lr, "eps": eps, "betas": betas, "weight_decay": 0.01, "coupled": coupled}
    found = trained(CPUAdam, torch.float32, grads, **settings)
    wanted = trained(torch.optim.AdamW, torch.float32, grads, **settings)
    exact = trained(torch.optim.AdamW, torch.float64, grads, **settings)
    for ours, theirs, true in zip(found, wanted, exact, strict=True):
        assert not (theirs.isfinite() & ~ours.isfinite()).any()
        # torch's lerp overflows between large gradients of opposite signs; ours does not.
        overflowed = ours.isfinite() & ~theirs.isfinite()
        assert (true[overflowed].abs() < 3.5e38).all()


def test_gradients_whose_squares_overflow_leave_the_parameter_as_in_torch() -> None:
    grads = [torch.tensor([1.9e19, -3e38, 3.4e38, 1.8e19])]
    found = trained(CPUAdam, torch.float32, grads, betas=(0.9, 0.0), weight_decay=0.0)
    wanted = trained(torch.optim.AdamW, torch.float32, grads, betas=(0.9, 0.0), weight_decay=0.0)
    assert torch.equal(found[2].isinf(), torch.tensor([True, True, True, False]))
    for ours, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("isa", ["scalar", "best"])
def test_a_tiny_eps_gives_what_torchs_float32_gives(dtype: torch.dtype, isa: str) -> None:
    library = CPUAdamBuilder().load()
    best = library.cpu_capability()
    settings = {"lr": 1e-10, "eps": 1e-45, "betas": (0.5, 0.0), "weight_decay": 0.0}
    grads = [torch.ones(100), torch.zeros(100)]
    param, *states = copy.deepcopy(trained(torch.optim.AdamW, torch.float32, grads[:1], **settings))
    param = param.to(dtype)
    wanted = trained(torch.optim.AdamW, torch.float32, grads, **settings)[0]
    library.create_adam(7, adamw_mode=True)
    library.set_cpu_capability(best if isa == "best" else isa)
    try:
        arguments = (1e-10, 0.5, 0.0, 1e-45, 0.0, True, param, grads[1].to(dtype), *states)
        library.adam_update(7, 2, *arguments)
    finally:
        library.set_cpu_capability(best)
        library.destroy_adam(7)
    assert wanted.isfinite().all()
    assert wanted.abs().min() > 1e30
    rtol = 1e-6 if dtype == torch.float32 else 2**-8
    torch.testing.assert_close(param.float(), wanted, rtol=rtol, atol=0)


def test_a_learning_rate_of_0_changes_nothing() -> None:
    grads = [torch.tensor([1e-3, 1.0]), torch.tensor([1e-25, 0.0])]
    settings = {"lr": 0.0, "eps": 1e-45, "betas": (0.99, 0.0)}
    assert trained(CPUAdam, torch.float32, grads, **settings)[0].tolist() == [-2, 3]

"""``ascend_ops.CPUAdam`` as a replacement for ``torch.optim.AdamW``."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from ascend_ops import CPUAdam

pytestmark = pytest.mark.compiler

LOW_PRECISION = [torch.bfloat16, torch.float16]


def model(seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(7, 33), torch.nn.Tanh(), torch.nn.Linear(33, 3))


def backward(module: torch.nn.Module, seed: int) -> torch.Tensor:
    inputs = torch.randn(5, 7, generator=torch.Generator().manual_seed(seed))
    loss = module(inputs).square().mean()
    loss.backward()
    return loss


def steps(module: torch.nn.Module, optimizer: torch.optim.Optimizer, seeds: range) -> None:
    for seed in seeds:
        optimizer.zero_grad()
        backward(module, seed)
        optimizer.step()


def assert_same_parameters(a: torch.nn.Module, b: torch.nn.Module, rtol: float = 1e-5) -> None:
    for ours, theirs in zip(a.parameters(), b.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=rtol, atol=rtol)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"lr": 0.1, "betas": (0.5, 0.9), "eps": 1e-3, "weight_decay": 0.3},
        {"weight_decay": 0.0},
        {"maximize": True},
        {"foreach": True},
        {"fused": True, "foreach": False},
        {"lr": torch.tensor(0.01)},
    ],
)
def test_ten_steps_equal_those_of_torch(arguments: dict[str, Any]) -> None:
    ours, theirs = model(), model()
    own = dict(arguments)
    torch_only = {k: v for k, v in arguments.items() if k not in ("foreach", "fused")}
    steps(ours, CPUAdam(ours.parameters(), **own), range(10))
    steps(theirs, torch.optim.AdamW(theirs.parameters(), **torch_only), range(10))
    assert_same_parameters(ours, theirs)


def test_adam_with_coupled_decay_equals_torch() -> None:
    ours, theirs = model(), model()
    decay = {"weight_decay": 0.2}
    steps(ours, CPUAdam(ours.parameters(), decoupled_weight_decay=False, **decay), range(10))
    steps(theirs, torch.optim.Adam(theirs.parameters(), **decay), range(10))
    assert_same_parameters(ours, theirs)


def test_the_state_has_torchs_names_and_types() -> None:
    ours, theirs = model(), model()
    ours_optimizer = CPUAdam(ours.parameters())
    theirs_optimizer = torch.optim.AdamW(theirs.parameters())
    steps(ours, ours_optimizer, range(2))
    steps(theirs, theirs_optimizer, range(2))
    for ours_param, theirs_param in zip(ours.parameters(), theirs.parameters(), strict=True):
        found, wanted = ours_optimizer.state[ours_param], theirs_optimizer.state[theirs_param]
        assert found.keys() == wanted.keys()
        assert found["step"].dtype == wanted["step"].dtype
        assert found["step"] == wanted["step"] == 2
    assert ours_optimizer.param_groups[0].keys() >= theirs_optimizer.param_groups[0].keys()


@pytest.mark.parametrize("first", ["ours", "torch"])
def test_a_state_dict_loads_either_way(first: str) -> None:
    classes = (CPUAdam, torch.optim.AdamW) if first == "ours" else (torch.optim.AdamW, CPUAdam)
    switched, straight = model(), model()
    optimizer = classes[0](switched.parameters(), lr=0.02)
    steps(switched, optimizer, range(3))
    other = classes[1](switched.parameters())
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    assert other.param_groups[0]["lr"] == 0.02
    steps(switched, other, range(3, 6))
    steps(straight, torch.optim.AdamW(straight.parameters(), lr=0.02), range(6))
    assert_same_parameters(switched, straight)


def test_a_state_of_torchs_adam_stays_adam() -> None:
    switched, straight = model(), model()
    optimizer = torch.optim.Adam(switched.parameters(), weight_decay=0.3)
    steps(switched, optimizer, range(3))
    other = CPUAdam(switched.parameters())
    other.load_state_dict(optimizer.state_dict())
    steps(switched, other, range(3, 6))
    steps(straight, torch.optim.Adam(straight.parameters(), weight_decay=0.3), range(6))
    assert_same_parameters(switched, straight)


@pytest.mark.parametrize("dtype", LOW_PRECISION)
@pytest.mark.parametrize("fp32_states", [True, False])
def test_states_keep_their_dtype_through_a_state_dict(
    dtype: torch.dtype, fp32_states: bool
) -> None:
    param = torch.nn.Parameter(torch.linspace(-1, 1, 50).to(dtype))
    param.grad = torch.linspace(1, -2, 50).to(dtype)
    optimizer = CPUAdam([param], fp32_optimizer_states=fp32_states)
    optimizer.step()
    saved = optimizer.state_dict()
    loaded = CPUAdam([param], fp32_optimizer_states=fp32_states)
    loaded.load_state_dict(saved)
    for name in ("exp_avg", "exp_avg_sq"):
        assert loaded.state[param][name].dtype == (torch.float32 if fp32_states else dtype)
        assert torch.equal(loaded.state[param][name], optimizer.state[param][name])
        assert loaded.state[param][name] is not optimizer.state[param][name]


def test_groups_schedulers_and_closures() -> None:
    def train(optimizer_class: type[torch.optim.Optimizer]) -> tuple[torch.nn.Module, list[float]]:
        module = model()
        first, _, last = module
        optimizer = optimizer_class(
            [{"params": first.parameters(), "lr": 0.05}, {"params": last.parameters()}], lr=0.01
        )
        scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=8)
        losses = []
        for seed in range(8):

            def closure(seed: int = seed) -> torch.Tensor:
                optimizer.zero_grad()
                return backward(module, seed)

            loss = optimizer.step(closure)
            assert loss is not None
            losses.append(loss.item())
            scheduler.step()
        return module, losses

    ours, our_losses = train(CPUAdam)
    theirs, their_losses = train(torch.optim.AdamW)
    assert our_losses == pytest.approx(their_losses, rel=1e-5)
    assert_same_parameters(ours, theirs, rtol=1e-5)


def test_a_parameter_without_gradient_is_left_alone_and_can_join_later() -> None:
    a = torch.nn.Parameter(torch.ones(3))
    b = torch.nn.Parameter(torch.ones(3))
    optimizer = CPUAdam([a, b])
    a.grad = torch.ones(3)
    optimizer.step()
    assert torch.equal(b, torch.ones(3))
    assert b not in optimizer.state
    b.grad = torch.ones(3)
    optimizer.step()
    assert optimizer.state[a]["step"] == 2
    assert optimizer.state[b]["step"] == 1


def strided_parameters() -> Iterator[torch.Tensor]:
    base = torch.linspace(-1, 1, 4 * 6 * 5)
    yield base.view(4, 6, 5).transpose(0, 2)
    yield base.view(4, 6, 5)[:, ::2]
    yield base.view(1, 4, 6, 5).to(memory_format=torch.channels_last)
    yield base[1:]
    yield torch.tensor(0.5)
    yield torch.empty(0, 3)


@pytest.mark.parametrize("values", list(strided_parameters()), ids=lambda t: str(t.stride()))
@pytest.mark.parametrize("strided_grad", [True, False])
def test_a_strided_parameter_is_updated(values: torch.Tensor, strided_grad: bool) -> None:
    ours = torch.nn.Parameter(torch.empty_strided(values.shape, values.stride()).copy_(values))
    theirs = torch.nn.Parameter(values.detach().clone(memory_format=torch.contiguous_format))
    grad = torch.arange(values.numel(), dtype=torch.float32).view(values.shape) / 10 - 3
    optimizers = CPUAdam([ours]), torch.optim.AdamW([theirs])
    for _ in range(3):
        ours.grad = grad if not strided_grad else torch.empty_like(values).copy_(grad)
        theirs.grad = grad
        for optimizer in optimizers:
            optimizer.step()
    torch.testing.assert_close(ours.detach(), theirs.detach(), rtol=2e-6, atol=1e-7)


def test_the_optimizer_can_be_copied_and_pickled() -> None:
    module = model()
    optimizer = CPUAdam(module.parameters())
    steps(module, optimizer, range(2))
    twin, twin_optimizer = copy.deepcopy((module, optimizer))
    steps(module, optimizer, range(2, 4))
    steps(twin, twin_optimizer, range(2, 4))
    assert_same_parameters(module, twin, rtol=0)


def test_a_backward_pass_through_values_that_were_updated_is_an_error() -> None:
    param = torch.nn.Parameter(torch.ones(3))
    loss = param.square().sum()
    param.grad = torch.ones(3)
    CPUAdam([param]).step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_a_state_that_is_replaced_between_steps_is_used() -> None:
    param, other = torch.nn.Parameter(torch.ones(3)), torch.nn.Parameter(torch.ones(3))
    param.grad = other.grad = torch.ones(3)
    optimizer = CPUAdam([param, other])
    optimizer.step()
    replaced = {name: value.clone() for name, value in optimizer.state[param].items()}
    old = optimizer.state[param]["exp_avg"].clone()
    kept = optimizer.state[param]
    optimizer.state[param] = replaced
    optimizer.step()
    assert torch.equal(kept["exp_avg"], old)
    assert not torch.equal(replaced["exp_avg"], old)
    assert replaced["step"] == 2
    del optimizer.state[other]
    optimizer.step()
    assert optimizer.state[other]["step"] == 1
    assert replaced["step"] == 3


def test_an_offload_step_and_a_step_may_alternate() -> None:
    param = torch.nn.Parameter(torch.ones(3))
    optimizer = CPUAdam([{"params": [param]}, {"params": []}])
    param.grad = torch.ones(3)
    optimizer.step()
    optimizer.offload_step([torch.ones(3)])
    assert optimizer.state[param]["step"] == 2

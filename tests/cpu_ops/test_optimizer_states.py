"""Optimizer states that are edited, loaded and saved: all optimizers beside torch's."""

from __future__ import annotations

import copy
import math
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest
import torch

import ascend_ops
from ascend_ops import CPUAdagrad, CPUAdam, CPULion, FusedAdamW, FusedLamb, FusedLion

pytestmark = pytest.mark.compiler

ADAMS = [CPUAdam, FusedAdamW]
ALL = [CPUAdam, CPULion, CPUAdagrad, FusedAdamW, FusedLion, FusedLamb]
Edit = Callable[[torch.optim.Optimizer, torch.nn.Parameter], Any]


def params(count: int = 2) -> list[torch.nn.Parameter]:
    torch.manual_seed(0)
    return [torch.nn.Parameter(torch.randn(4)) for _ in range(count)]


def step(optimizer: torch.optim.Optimizer, grad: float = 1.0, times: int = 1) -> None:
    for _ in range(times):
        for group in optimizer.param_groups:
            for param in group["params"]:
                param.grad = torch.full_like(param, grad)
        optimizer.step()


def replace_second(optimizer: torch.optim.Optimizer) -> None:
    used = optimizer.param_groups[0]["params"]
    del optimizer.state[used[1]]
    used[1] = params(3)[2]


EDITS: dict[str, Edit] = {
    "state = defaultdict(dict)": lambda o, p: setattr(o, "state", defaultdict(dict)),
    "state.clear()": lambda o, p: o.state.clear(),
    "del state[p]": lambda o, p: o.state.pop(p),
    "state[p] = {}": lambda o, p: o.state.__setitem__(p, {}),
    "state[p].clear()": lambda o, p: o.state[p].clear(),
    "state[p] = other": lambda o, p: o.state.__setitem__(
        p, {name: value.clone().mul_(0.5).floor_() for name, value in o.state[p].items()}
    ),
    "exp_avg = zeros": lambda o, p: o.state[p].__setitem__("exp_avg", torch.zeros(4)),
    "exp_avg.zero_()": lambda o, p: o.state[p]["exp_avg"].zero_(),
    "step = 0": lambda o, p: o.state[p].__setitem__("step", torch.tensor(0.0)),
    "step.zero_()": lambda o, p: o.state[p]["step"].zero_(),
    "step += 5": lambda o, p: o.state[p]["step"].add_(5),
    "betas": lambda o, p: o.param_groups[0].__setitem__("betas", (0.5, 0.9)),
    "another parameter": lambda o, p: replace_second(o),
}


@pytest.mark.parametrize("cls", ADAMS)
@pytest.mark.parametrize("name", EDITS)
def test_an_edit_between_two_steps_counts(cls: Any, name: str) -> None:
    results = []
    for optimizer_class in (cls, torch.optim.AdamW):
        some = params()
        optimizer = optimizer_class(some, lr=0.1)
        step(optimizer, 1.0, times=3)
        EDITS[name](optimizer, some[0])
        step(optimizer, -0.3, times=2)
        used = optimizer.param_groups[0]["params"]
        saved = optimizer.state_dict()["state"]
        results.append((used, {key: float(state["step"]) for key, state in saved.items()}))
    (ours, our_counts), (theirs, their_counts) = results
    assert our_counts == their_counts
    for got, expected in zip(ours, theirs, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("cls", ALL)
def test_a_cleared_state_starts_again_and_is_saved(cls: Any) -> None:
    edited, fresh = params(1), params(1)
    optimizer = cls(edited)
    step(optimizer, times=3)
    with torch.no_grad():
        edited[0].copy_(fresh[0])
    optimizer.state = defaultdict(dict)
    other = cls(fresh)
    for one in (optimizer, other):
        step(one, -0.5, times=2)
    assert torch.equal(edited[0], fresh[0])
    assert float(optimizer.state_dict()["state"][0]["step"]) == 2


@pytest.mark.parametrize("cls", ADAMS)
def test_steps_that_were_equal_can_be_set_apart(cls: Any) -> None:
    some = params(3)
    optimizer = cls(some)
    step(optimizer, times=2)
    optimizer.state[some[1]]["step"].fill_(7)
    step(optimizer)
    assert [float(optimizer.state[p]["step"]) for p in some] == [3, 8, 3]


@pytest.mark.parametrize("cls", [torch.optim.AdamW, *ADAMS])
def test_a_load_pre_hook_may_reorder_the_parameters(cls: Any) -> None:
    a, b = params()
    old = torch.optim.AdamW([a, b])
    b.grad = torch.ones(4)
    old.step()
    a.grad = torch.ones(4)
    old.step()
    new = cls([b, a])
    new.register_load_state_dict_pre_hook(
        lambda _, given: {
            **given,
            "param_groups": [{**g, "params": g["params"][::-1]} for g in given["param_groups"]],
        }
    )
    new.load_state_dict(copy.deepcopy(old.state_dict()))
    assert (float(new.state[a]["step"]), float(new.state[b]["step"])) == (1, 2)
    assert torch.equal(new.state[a]["exp_avg"], old.state[a]["exp_avg"])


@pytest.mark.parametrize("cls", ALL)
def test_hooks_may_wrap_and_unwrap_a_state_dict(cls: Any) -> None:
    source, target = cls(params()), cls(params())
    step(source)
    source.register_state_dict_post_hook(lambda _, found: {"optimizer": found})
    target.register_load_state_dict_pre_hook(lambda _, given: given["optimizer"])
    seen: list[float] = []
    target.register_load_state_dict_post_hook(
        lambda o: seen.extend(float(state["step"]) for state in o.state.values())
    )
    target.load_state_dict(source.state_dict())
    assert seen == [1, 1]


def saved_by_torch(**changes: Any) -> dict[str, Any]:
    """Return a state_dict of AdamW after 3 steps; in ``changes``, None removes a state."""
    optimizer = torch.optim.AdamW(params())
    step(optimizer, times=3)
    saved = copy.deepcopy(optimizer.state_dict())
    for state in saved["state"].values():
        state.update(changes)
        for name in [name for name, value in state.items() if value is None]:
            del state[name]
    return saved


BAD_STATES = [
    ({"step": None, "exp_avg_sq": None}, "must have step, exp_avg, exp_avg_sq, got exp_avg"),
    ({"exp_avg": None}, "must have step, exp_avg, exp_avg_sq, got step, exp_avg_sq"),
    ({"exp_avg": torch.zeros(5)}, r"exp_avg of parameter 0 must have shape \[4\], got \[5\]"),
    ({"exp_avg": [0.0]}, "exp_avg of parameter 0 must be a tensor, got list"),
    ({"exp_avg_sq": torch.zeros(4, dtype=torch.uint8)}, "must have a floating-point dtype, got u"),
    ({"exp_avg_sq": torch.zeros(4, dtype=torch.complex64)}, "floating-point dtype, got complex64"),
    ({"exp_avg": torch.zeros(4).to_sparse()}, "must be a dense tensor with data"),
    ({"exp_avg": torch.zeros(4, device="meta")}, "must be a dense tensor with data, got .* meta"),
    ({"step": torch.zeros(2)}, r"step of parameter 0 must be a number .* got a tensor of shape"),
    ({"step": -1.0}, "step of parameter 0 must be a number of at least 0, got -1.0"),
    ({"step": torch.tensor(math.nan)}, "step of parameter 0 must be a number .* got nan"),
    ({"step": "3"}, "step of parameter 0 must be a number of at least 0, got '3'"),
]


@pytest.mark.parametrize("cls", ADAMS)
@pytest.mark.parametrize(("changes", "message"), BAD_STATES)
def test_a_state_that_cannot_be_used_is_refused_when_loaded(
    cls: Any, changes: dict[str, Any], message: str
) -> None:
    some = params()
    optimizer = cls(some, lr=0.5)
    step(optimizer)
    before = copy.deepcopy(optimizer.state_dict())
    with pytest.raises(ValueError, match=message):
        optimizer.load_state_dict(saved_by_torch(**changes))
    after = optimizer.state_dict()
    assert after["param_groups"] == before["param_groups"]
    for key, state in after["state"].items():
        for name, value in state.items():
            assert torch.equal(value, before["state"][key][name])


@pytest.mark.parametrize("cls", ADAMS)
@pytest.mark.parametrize("count", [3, torch.tensor(3.0)])
def test_the_step_of_the_group_is_used_if_the_states_have_none(cls: Any, count: Any) -> None:
    saved = saved_by_torch(step=None)
    for group in saved["param_groups"]:
        group["step"] = count
    ours, theirs = params(), params()
    optimizer, reference = cls(ours), torch.optim.AdamW(theirs)
    optimizer.load_state_dict(saved)
    reference.load_state_dict(saved_by_torch())
    assert "step" not in optimizer.param_groups[0]
    for one in (optimizer, reference):
        step(one, -0.2, times=2)
    for got, expected in zip(ours, theirs, strict=True):
        assert float(optimizer.state[got]["step"]) == 5
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("cls", ADAMS)
def test_a_state_that_became_incomplete_stops_the_step_before_it_changed_any(cls: Any) -> None:
    first, second = params()
    optimizer = cls([{"params": [first]}, {"params": [second]}])
    step(optimizer)
    before = first.detach().clone()
    del optimizer.state[second]["exp_avg"]
    with pytest.raises(
        ValueError, match="state of parameter 1 must have step, exp_avg, exp_avg_sq"
    ):
        step(optimizer)
    optimizer.state[second] = {"exp_avg": torch.zeros(4)}
    with pytest.raises(ValueError, match=r"state of parameter 1 must have .* got exp_avg$"):
        step(optimizer)
    assert torch.equal(first, before)


@pytest.mark.parametrize("cls", ADAMS)
@pytest.mark.parametrize("option", ["capturable", "differentiable", "fused", "foreach"])
def test_how_another_optimizer_computed_is_not_loaded(cls: Any, option: str) -> None:
    saved = saved_by_torch()
    saved["param_groups"][0][option] = True
    ours, theirs = params(), params()
    optimizer, reference = cls(ours), torch.optim.AdamW(theirs)
    optimizer.load_state_dict(saved)
    reference.load_state_dict(saved_by_torch())
    for one in (optimizer, reference):
        step(one, -0.2)
    for got, expected in zip(ours, theirs, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)
    again = torch.optim.AdamW(params())
    again.load_state_dict(optimizer.state_dict())
    step(again)


@pytest.mark.parametrize("cls", ALL)
def test_options_that_are_set_later_are_refused_if_they_are_not_implemented(cls: Any) -> None:
    first, second = params()
    optimizer = cls([{"params": [first]}, {"params": [second]}])
    before = first.detach().clone()
    changes: dict[str, Any] = dict.fromkeys(cls.REFUSED, True)
    if "betas" in optimizer.defaults:
        changes["betas"] = (0.9, 0.99, 0.999)
    for name, value in changes.items():
        kept = optimizer.param_groups[1].get(name, False)
        optimizer.param_groups[1][name] = value
        with pytest.raises(ValueError, match=rf"{name} must be (False|two numbers), got"):
            step(optimizer)
        optimizer.param_groups[1][name] = kept
        if name == "betas":
            with pytest.raises(ValueError, match="betas must be two numbers"):
                cls([first], betas=value)
    assert torch.equal(first, before)
    assert cls not in ADAMS or "amsgrad" in changes


@pytest.mark.parametrize("cls", ALL)
def test_the_learning_rate_may_be_a_tensor(cls: Any) -> None:
    ours, theirs = params(), params()
    optimizer = cls(ours, lr=torch.tensor(0.1))
    reference = cls(theirs, lr=0.1)
    schedulers = [
        torch.optim.lr_scheduler.ExponentialLR(one, 0.5) for one in (optimizer, reference)
    ]
    for _ in range(3):
        for one, scheduler in zip((optimizer, reference), schedulers, strict=True):
            step(one)
            scheduler.step()
    assert isinstance(optimizer.param_groups[0]["lr"], torch.Tensor)
    for got, expected in zip(ours, theirs, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-6, atol=1e-7)
    with pytest.raises(ValueError, match=r"lr must be one number, got a tensor of shape \[2\]"):
        cls(ours, lr=torch.ones(2))


@pytest.mark.parametrize("cls", ALL)
def test_a_default_device_does_not_move_the_states(cls: Any) -> None:
    plain, inside = params(), params()
    reference = cls(plain)
    step(reference, times=2)
    with torch.device("meta"):
        optimizer = cls(inside)
        for _ in range(2):
            for param in inside:
                param.grad = torch.ones(4, device="cpu")
            optimizer.step()
        saved = optimizer.state_dict()
        other = cls(inside)
        other.load_state_dict(saved)
        other.step()
    step(reference)
    for got, expected in zip(inside, plain, strict=True):
        assert torch.equal(got, expected)


@pytest.mark.parametrize("cls", ALL)
def test_compiled_code_may_make_the_step(cls: Any) -> None:
    ours, theirs = params(1), params(1)
    optimizer, reference = cls(ours), cls(theirs)

    @torch.compile(backend="aot_eager")
    def train() -> None:
        (ours[0] * 2).sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    for grad in (2.0, 2.0, 2.0):
        train()
        step(reference, grad)
    assert torch.equal(ours[0], theirs[0])
    optimizer.state.clear()
    train()
    assert float(optimizer.state[ours[0]]["step"]) == 1


def test_every_optimizer_is_covered() -> None:
    public = {
        getattr(ascend_ops, name) for name in ascend_ops.__all__ if name[:3] in ("CPU", "Fus")
    }
    assert public == set(ALL)

"""The offload step of ``CPUAdam`` against separate passes that unscale, clip, step and copy."""

from __future__ import annotations

import math

import pytest
import torch

from ascend_ops import CPUAdam

pytestmark = pytest.mark.compiler

SHAPES = [(70, 30), (1,), (0,), (2049,)]


def masters(seed: int = 0) -> list[torch.nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]


def gradients(dtype: torch.dtype, seed: int = 1, scale: float = 1.0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [(torch.randn(shape, generator=generator) * scale).to(dtype) for shape in SHAPES]


def one_after_another(
    params: list[torch.nn.Parameter], grads: list[torch.Tensor], loss_scale: float, max_norm: float
) -> float:
    """Make the offload step by torch's separate passes; return the norm before clipping."""
    for param, grad in zip(params, grads, strict=True):
        param.grad = grad.float() / loss_scale
    norm = torch.linalg.vector_norm(
        torch.cat([param.grad.double().flatten() for param in params if param.grad is not None])
    )
    if max_norm:
        torch.nn.utils.clip_grad_norm_(params, max_norm)
    return float(norm)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("loss_scale", [1.0, 1024.0])
@pytest.mark.parametrize("max_norm", [0.0, 0.5, 1e6])
def test_it_equals_its_parts(dtype: torch.dtype, loss_scale: float, max_norm: float) -> None:
    ours, theirs = masters(), masters()
    optimizer = CPUAdam(ours, lr=0.01)
    reference = torch.optim.AdamW(theirs, lr=0.01)
    low_precision = [torch.empty(shape, dtype=torch.bfloat16) for shape in SHAPES]
    for step in range(3):
        grads = gradients(dtype, step, loss_scale)
        outcome = optimizer.offload_step(
            grads, low_precision_params=low_precision, loss_scale=loss_scale, max_norm=max_norm
        )
        norm = one_after_another(theirs, grads, loss_scale, max_norm)
        reference.step()
        assert not outcome.found_inf
        assert outcome.grad_norm == pytest.approx(norm, rel=1e-6)
        for a, b, low in zip(ours, theirs, low_precision, strict=True):
            torch.testing.assert_close(a.detach(), b.detach(), rtol=1e-5, atol=1e-6)
            assert torch.equal(low, a.detach().bfloat16())
    assert all(optimizer.state[param]["step"] == 3 for param in ours)


@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_gradient_that_is_not_finite_skips_the_step_whole(bad: float, dtype: torch.dtype) -> None:
    params = masters()
    before = [param.detach().clone() for param in params]
    optimizer = CPUAdam(params)
    grads = gradients(dtype)
    grads[3][2048] = bad  # the very last element
    low_precision = [torch.full(shape, 7.0, dtype=torch.bfloat16) for shape in SHAPES]
    outcome = optimizer.offload_step(grads, low_precision_params=low_precision)
    assert outcome.found_inf
    for param, old, low in zip(params, before, low_precision, strict=True):
        assert torch.equal(param, old)
        assert bool((low == 7).all())
        state = optimizer.state[param]
        assert state["step"] == 0
        assert not state["exp_avg"].any()


def test_groups_share_one_norm_and_keep_their_hyperparameters() -> None:
    ours, theirs = masters(), masters()

    def groups(params: list[torch.nn.Parameter]) -> list[dict[str, object]]:
        return [{"params": params[:2], "lr": 0.1}, {"params": params[2:], "weight_decay": 0.5}]

    grads = gradients(torch.bfloat16)
    CPUAdam(groups(ours)).offload_step(grads, max_norm=0.1)
    one_after_another(theirs, grads, 1.0, 0.1)
    torch.optim.AdamW(groups(theirs)).step()
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a.detach(), b.detach(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("copy_elements", [1, 100, 4096, 1 << 24])
def test_pieces_of_any_size_arrive_at_the_device(copy_elements: int) -> None:
    whole, piecewise = masters(), masters()
    grads = gradients(torch.bfloat16)
    CPUAdam(whole).offload_step(grads, max_norm=1.0)
    if copy_elements == 1:
        piecewise, grads = piecewise[1:3], grads[1:3]
        whole = masters()[1:3]
        CPUAdam(whole).offload_step(grads, max_norm=1.0)
    low_precision = [torch.empty(param.shape, dtype=torch.bfloat16) for param in piecewise]
    arrived = [torch.empty_like(low) for low in low_precision]
    CPUAdam(piecewise).offload_step(
        grads,
        low_precision_params=low_precision,
        device_params=arrived,
        max_norm=1.0,
        copy_elements=copy_elements,
    )
    for a, b, low, there in zip(whole, piecewise, low_precision, arrived, strict=True):
        assert torch.equal(a, b)
        assert torch.equal(low, there)


def test_stochastic_rounding_is_reproducible_and_right_on_average() -> None:
    size = 100_000
    value = 1 + 2**-10  # a quarter of the way from 1 to the next bfloat16
    outcomes = []
    for seed in (5, 5, 6):
        param = torch.nn.Parameter(torch.full((size,), value))
        low = [torch.empty(size, dtype=torch.bfloat16)]
        CPUAdam([param], lr=0.0).offload_step(
            [torch.zeros(size)], low_precision_params=low, stochastic_rounding_seed=seed
        )
        outcomes.append(low[0])
    assert torch.equal(outcomes[0], outcomes[1])
    assert not torch.equal(outcomes[0], outcomes[2])
    assert set(outcomes[0].unique().tolist()) == {1.0, 1.0 + 2**-7}
    # The mean of 100,000 coins of probability 1/8 is off by 0.005 only once in a million times.
    share = (outcomes[0] != 1).float().mean().item()
    assert share == pytest.approx(1 / 8, abs=0.006)


def test_the_threads_do_not_show_in_the_norm() -> None:
    threads = torch.get_num_threads()
    grads = [torch.randn(1_000_003, generator=torch.Generator().manual_seed(0))]
    norms = set()
    try:
        for count in (1, 2, 5):
            torch.set_num_threads(count)
            param = torch.nn.Parameter(torch.zeros(1_000_003))
            norms.add(CPUAdam([param]).offload_step(grads).grad_norm)
    finally:
        torch.set_num_threads(threads)
    assert len(norms) == 1


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"grads": gradients(torch.float32)[:2]}, ValueError, "grads must have one .*, 4, got 2"),
        ({"low_precision_params": [torch.empty(1)]}, ValueError, "low_precision_params"),
        ({"loss_scale": 0.0}, RuntimeError, "loss_scale"),
        ({"loss_scale": math.nan}, RuntimeError, "loss_scale"),
        ({"max_norm": math.nan}, RuntimeError, "max_norm"),
        ({"device_params": [torch.empty(1)]}, ValueError, "device_params"),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_changed(
    changes: dict[str, object], error: type[Exception], message: str
) -> None:
    params = masters()
    arguments = {"grads": gradients(torch.float32), **changes}
    with pytest.raises(error, match=message):
        CPUAdam(params).offload_step(**arguments)  # type: ignore[arg-type]
    assert all(torch.equal(a, b) for a, b in zip(params, masters(), strict=True))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"copy_elements": 0}, "copy_elements must be at least 1, got 0"),
        ({"copy_elements": -1}, "copy_elements must be at least 1, got -1"),
        ({"max_norm": -1.0}, "max_norm must be a finite number of at least 0, got -1"),
        ({"max_norm": math.nan}, "max_norm must be a finite number of at least 0, got nan"),
        ({"loss_scale": 0.0}, "loss_scale must be a finite number above 0, got 0"),
        ({"stochastic_rounding_seed": 1 << 64}, "stochastic_rounding_seed must be from 0 to"),
    ],
)
def test_a_number_that_makes_no_sense_is_refused_and_nothing_is_changed(options, words) -> None:
    param = torch.nn.Parameter(torch.ones(8))
    optimizer = CPUAdam([param], lr=0.1)
    copy, target = torch.ones(8, dtype=torch.bfloat16), torch.zeros(8, dtype=torch.bfloat16)
    with pytest.raises((RuntimeError, ValueError), match=words):
        optimizer.offload_step(
            [torch.ones(8)], low_precision_params=[copy], device_params=[target], **options
        )
    assert param.tolist() == [1.0] * 8
    assert target.tolist() == [0.0] * 8
    assert not optimizer.state

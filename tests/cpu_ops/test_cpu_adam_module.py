"""The functions of the module ``cpu_adam`` that DeepSpeed's optimizers call."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import adam_reference
import pytest
import torch

from op_builder import CPUAdamBuilder
from op_builder.ops.cpu_optimizer import VARIANTS

pytestmark = pytest.mark.compiler

DTYPES = [torch.float32, torch.bfloat16, torch.float16]


@pytest.fixture
def cpu_adam() -> Any:
    return CPUAdamBuilder().load()


@pytest.fixture
def optimizer_id(cpu_adam: Any) -> Iterator[int]:
    cpu_adam.create_adam(7, 1e-3, 0.9, 0.999, 1e-8, 0.0, True, False)
    yield 7
    cpu_adam.destroy_adam(7)


def tensors(
    size: int = 1000, dtype: torch.dtype = torch.float32, state_dtype: torch.dtype = torch.float32
) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(size)
    params, grads, exp_avg = (torch.randn(size, generator=generator) for _ in range(3))
    exp_avg_sq = torch.rand(size, generator=generator)
    return [
        params.to(dtype),
        grads.to(dtype),
        exp_avg.to(state_dtype),
        exp_avg_sq.to(state_dtype),
    ]


@pytest.mark.parametrize("adamw_mode", [True, False])
@pytest.mark.parametrize("bias_correction", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_hyperparameters_of_the_call_decide_and_the_mode_of_the_creation(
    cpu_adam: Any, adamw_mode: bool, bias_correction: bool, dtype: torch.dtype
) -> None:
    cpu_adam.create_adam(3, 9.0, 0.1, 0.1, 1.0, 9.0, adamw_mode, False)
    h = adam_reference.Hyperparameters(
        0.01, 0.8, 0.99, 1e-6, 0.1, adamw_mode, bias_correction, False
    )
    params, grads, exp_avg, exp_avg_sq = tensors(dtype=dtype)
    exact = adam_reference.exact_step(5, h, params, grads, exp_avg, exp_avg_sq)
    outcome = cpu_adam.adam_update(
        3, 5, 0.01, 0.8, 0.99, 1e-6, 0.1, bias_correction, params, grads, exp_avg, exp_avg_sq
    )
    assert outcome == 0
    for found, wanted in zip((params, exp_avg, exp_avg_sq), exact, strict=True):
        assert wanted.excess(found, roundoffs=4) <= 0
    assert cpu_adam.destroy_adam(3) == 0


def test_an_unknown_id_is_an_error(cpu_adam: Any) -> None:
    with pytest.raises(RuntimeError, match="create_adam"):
        cpu_adam.adam_update(99, 1, 1e-3, 0.9, 0.999, 1e-8, 0.0, True, *tensors())
    with pytest.raises(RuntimeError, match="create_adam"):
        cpu_adam.destroy_adam(99)


def test_optimizers_do_not_disturb_each_other(cpu_adam: Any) -> None:
    for adamw_mode in (True, False):
        cpu_adam.create_adam(int(adamw_mode), 1e-3, 0.9, 0.999, 1e-8, 0.0, adamw_mode, False)
    results = []
    for optimizer in (0, 1):
        params, *rest = tensors()
        cpu_adam.adam_update(optimizer, 1, 0.1, 0.9, 0.999, 1e-8, 0.5, True, params, *rest)
        results.append(params)
    assert not torch.equal(*results)
    cpu_adam.destroy_adam(0)
    with pytest.raises(RuntimeError, match="create_adam"):
        cpu_adam.adam_update(0, 1, 1e-3, 0.9, 0.999, 1e-8, 0.0, True, *tensors())
    cpu_adam.destroy_adam(1)


@pytest.mark.parametrize(("dtype", "state"), list(itertools.product(DTYPES, [torch.float32, None])))
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("adamw_mode", [True, False])
def test_a_rollback_gives_back_what_an_update_took(
    cpu_adam: Any,
    dtype: torch.dtype,
    state: torch.dtype | None,
    weight_decay: float,
    adamw_mode: bool,
) -> None:
    """The old values are recovered to within the rounding of their storage.

    With coupled decay the gradient had the old parameter in it, and so the states come back with
    the rounding of the parameter's dtype.
    """
    cpu_adam.create_adam(5, 1e-3, 0.9, 0.99, 1e-8, 0.0, adamw_mode, False)
    arguments = (5, 4, 0.01, 0.9, 0.99, 1e-8, weight_decay, True)
    params, grads, exp_avg, exp_avg_sq = tensors(dtype=dtype, state_dtype=state or dtype)
    before = [tensor.double() for tensor in (params, exp_avg, exp_avg_sq)]
    cpu_adam.adam_update(*arguments, params, grads, exp_avg, exp_avg_sq)
    assert not torch.equal(params.double(), before[0])
    cpu_adam.adam_rollback(*arguments, params, grads, exp_avg, exp_avg_sq)
    for found, wanted in zip((params, exp_avg, exp_avg_sq), before, strict=True):
        coupled = weight_decay and not adamw_mode
        eps = torch.finfo(dtype if coupled else found.dtype).eps
        torch.testing.assert_close(found.double(), wanted, rtol=4 * eps, atol=4 * eps)
    cpu_adam.destroy_adam(5)


def test_a_rollback_that_is_impossible_is_an_error_and_changes_nothing(
    cpu_adam: Any, optimizer_id: int
) -> None:
    given = tensors()
    before = [tensor.clone() for tensor in given]
    with pytest.raises(RuntimeError, match="beta1"):
        cpu_adam.adam_rollback(optimizer_id, 1, 1e-3, 0.0, 0.999, 1e-8, 0.0, True, *given)
    assert all(torch.equal(*pair) for pair in zip(given, before, strict=True))


def test_gradients_in_float32_go_with_low_precision_parameters(
    cpu_adam: Any, optimizer_id: int
) -> None:
    params, grads, exp_avg, exp_avg_sq = tensors(dtype=torch.bfloat16)
    grads = grads.float() + 2**-12
    h = adam_reference.Hyperparameters()
    exact, _, _ = adam_reference.exact_step(1, h, params, grads, exp_avg, exp_avg_sq)
    cpu_adam.adam_update(
        optimizer_id, 1, 1e-3, 0.9, 0.999, 1e-8, 0.0, True, params, grads, exp_avg, exp_avg_sq
    )
    assert exact.excess(params, roundoffs=4) <= 0


def wrong_arguments() -> Iterator[Any]:
    good = (7, 1, 1e-3, 0.9, 0.999, 1e-8, 0.0, True)
    names = ("optimizer_id", "step", "lr", "beta1", "beta2", "eps", "weight_decay")
    values = (8, 0, math.nan, 1.0, -0.1, math.inf, math.nan)
    for index, (name, value) in enumerate(zip(names, values, strict=True)):
        yield pytest.param((*good[:index], value, *good[index + 1 :]), {}, name, id=name)
    ones = torch.ones(1000)
    for position, name in enumerate(("params", "grads", "exp_avg", "exp_avg_sq")):
        yield pytest.param(good, {position: ones.double()}, name, id=f"{name}-dtype")
        yield pytest.param(good, {position: ones.to("meta")}, "CPU", id=f"{name}-device")
        yield pytest.param(good, {position: ones.to_sparse()}, "dense", id=f"{name}-layout")
        if position:
            yield pytest.param(good, {position: torch.ones(999)}, "999", id=f"{name}-shape")
    yield pytest.param(good, {2: ones.bfloat16()}, "exp_avg", id="states-dtype")
    yield pytest.param(good, {2: ones, 3: ones}, "same memory", id="states-overlap")


@pytest.mark.parametrize(("arguments", "replaced", "message"), list(wrong_arguments()))
@pytest.mark.parametrize("function", ["adam_update", "adam_rollback"])
def test_wrong_arguments_are_named_and_nothing_is_touched(
    cpu_adam: Any,
    optimizer_id: int,
    function: str,
    arguments: tuple[Any, ...],
    replaced: dict[int, torch.Tensor],
    message: str,
) -> None:
    given = tensors()
    before = [tensor.clone() for tensor in given]
    passed = [replaced.get(index, tensor) for index, tensor in enumerate(given)]
    with pytest.raises(RuntimeError, match=message):
        getattr(cpu_adam, function)(*arguments, *passed)
    assert all(torch.equal(*pair) for pair in zip(given, before, strict=True))


def test_a_leaf_that_requires_grad_is_updated_without_recording(
    cpu_adam: Any, optimizer_id: int
) -> None:
    params, *rest = tensors()
    leaf = torch.nn.Parameter(params)
    with torch.no_grad():
        cpu_adam.adam_update(optimizer_id, 1, 1e-3, 0.9, 0.999, 1e-8, 0.0, True, leaf, *rest)
    cpu_adam.adam_update(optimizer_id, 2, 1e-3, 0.9, 0.999, 1e-8, 0.0, True, leaf.data, *rest)
    assert leaf.requires_grad
    assert leaf.grad_fn is None


def test_every_instruction_set_of_this_cpu_gives_the_same_bits(cpu_adam: Any) -> None:
    cpu_adam.create_adam(11, 1e-3, 0.9, 0.999, 1e-8, 0.0, True, False)
    best = cpu_adam.cpu_capability()
    results = {}
    try:
        for isa in VARIANTS:
            try:
                cpu_adam.set_cpu_capability(isa)
            except RuntimeError:
                continue  # not on this CPU
            assert cpu_adam.cpu_capability() == isa
            given = tensors(70_001, torch.bfloat16, torch.bfloat16)
            cpu_adam.adam_update(11, 3, 1e-2, 0.9, 0.999, 1e-8, 0.1, True, *given)
            results[isa] = given
    finally:
        cpu_adam.set_cpu_capability(best)
        cpu_adam.destroy_adam(11)
    assert best in results
    for found in results.values():
        for ours, others in zip(found, results[best], strict=True):
            assert torch.equal(ours, others)


def test_an_unknown_instruction_set_is_an_error(cpu_adam: Any) -> None:
    with pytest.raises(RuntimeError, match=f"isa must be one of {', '.join(VARIANTS)}"):
        cpu_adam.set_cpu_capability("sse9")

"""``CPUAdam`` against float64, and independence of the number of threads."""

from __future__ import annotations

import adam_reference
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ascend_ops import CPUAdam

pytestmark = pytest.mark.compiler

ROUNDOFFS = 4
LOW_PRECISION = [torch.bfloat16, torch.float16]


def test_the_result_does_not_depend_on_the_number_of_threads() -> None:
    results = []
    threads = torch.get_num_threads()
    try:
        for count in (1, 2, 3, 7):
            torch.set_num_threads(count)
            generator = torch.Generator().manual_seed(3)
            param = torch.nn.Parameter(torch.randn(300_007, generator=generator))
            param.grad = torch.randn(300_007, generator=generator)
            optimizer = CPUAdam([param])
            optimizer.step()
            optimizer.step()
            results.append(param.detach())
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(results[0], other) for other in results[1:])


@settings(max_examples=40)
@given(
    size=st.one_of(st.integers(0, 70), st.sampled_from([1023, 1024, 1025, 65_537])),
    dtype=st.sampled_from([torch.float32, *LOW_PRECISION]),
    fp32_states=st.booleans(),
    lr=st.floats(1e-6, 1.0),
    beta1=st.floats(0, 0.999),
    beta2=st.floats(0, 0.9999),
    weight_decay=st.sampled_from([0.0, 1e-2, 0.5]),
    decoupled=st.booleans(),
    bias_correction=st.booleans(),
    maximize=st.booleans(),
    offset=st.integers(0, 7),
)
def test_each_step_is_within_four_roundoffs_of_double_precision(
    size: int,
    dtype: torch.dtype,
    fp32_states: bool,
    lr: float,
    beta1: float,
    beta2: float,
    weight_decay: float,
    decoupled: bool,
    bias_correction: bool,
    maximize: bool,
    offset: int,
) -> None:
    """The error is at most four float32 roundoffs plus the rounding to storage."""
    generator = torch.Generator().manual_seed(size)
    param = torch.nn.Parameter(torch.randn(size + offset, generator=generator).to(dtype)[offset:])
    optimizer = CPUAdam(
        [param],
        lr=lr,
        betas=(beta1, beta2),
        weight_decay=weight_decay,
        maximize=maximize,
        decoupled_weight_decay=decoupled,
        bias_correction=bias_correction,
        fp32_optimizer_states=fp32_states,
    )
    h = adam_reference.Hyperparameters(
        lr, beta1, beta2, 1e-8, weight_decay, decoupled, bias_correction, maximize
    )
    state_dtype = torch.float32 if fp32_states else dtype
    before = [torch.zeros(size, dtype=state_dtype) for _ in range(2)]
    for step in (1, 2, 3):
        param.grad = torch.randn(size, generator=generator).to(dtype)
        exact = adam_reference.exact_step(step, h, param, param.grad, *before)
        optimizer.step()
        states = [optimizer.state[param][name] for name in ("exp_avg", "exp_avg_sq")]
        for found, wanted in zip((param.detach(), *states), exact, strict=True):
            assert wanted.excess(found, roundoffs=ROUNDOFFS) <= 0
        before = [state.clone() for state in states]

"""AdamW steps of many small tensors on an NPU: by this project, torch, and DeepSpeed's loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from .implementation import OURS

_TENSORS = 300
_NUMEL = 64
_LR, _BETA1, _BETA2, _EPS, _WEIGHT_DECAY = 1e-3, 0.9, 0.999, 1e-8, 0.01
_DEEPSPEED_LOOP = "npu_apply_adam_w in a loop"


def steps_beside_the_loop() -> dict[str, Callable[[], Any]]:
    """Return the steps of this project and of DeepSpeed's loop, with separate parameters."""
    return {OURS: _ours(), _DEEPSPEED_LOOP: _deepspeed_loop(_parameters())}


def steps_beside_torch() -> dict[str, Callable[[], Any]]:
    """Return the steps of this project's and torch's fused AdamW."""
    theirs = torch.optim.AdamW(
        _parameters(), _LR, (_BETA1, _BETA2), _EPS, _WEIGHT_DECAY, fused=True
    )
    return {OURS: _ours(), "torch fused": theirs.step}


def _ours() -> Callable[[], Any]:
    from ascend_ops import FusedAdamW

    return FusedAdamW(_parameters(), _LR, (_BETA1, _BETA2), _EPS, _WEIGHT_DECAY).step


def _parameters() -> list[torch.nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    made = []
    for _ in range(_TENSORS):
        value, grad = (torch.randn(_NUMEL, generator=generator) for _ in range(2))
        parameter = torch.nn.Parameter(value.npu())  # type: ignore[attr-defined]
        parameter.grad = grad.npu()  # type: ignore[attr-defined]
        made.append(parameter)
    return made


def _deepspeed_loop(parameters: list[torch.nn.Parameter]) -> Callable[[], Any]:
    """Return the step of DeepSpeed's FusedAdam on an NPU: one torch_npu call per tensor."""
    import torch_npu  # type: ignore[import-not-found,import-untyped,unused-ignore]

    states = {p: (torch.zeros_like(p), torch.zeros_like(p)) for p in parameters}
    count = 0

    @torch.no_grad()
    def step() -> None:
        nonlocal count
        count += 1
        lists: tuple[list[Any], ...] = ([], [], [], [])
        for parameter in parameters:
            if parameter.grad is None:
                continue
            exp_avg, exp_avg_sq = states[parameter]
            for chosen, tensor in zip(
                lists, (parameter.grad.data, parameter.data, exp_avg, exp_avg_sq), strict=True
            ):
                chosen.append(tensor)
        powers = (_BETA1 ** (count - 1), _BETA2 ** (count - 1))
        for grad, value, exp_avg, exp_avg_sq in zip(*lists, strict=True):
            torch_npu.npu_apply_adam_w(
                *powers,
                _LR,
                _WEIGHT_DECAY,
                _BETA1,
                _BETA2,
                _EPS,
                grad,
                None,
                False,
                False,
                out=(value, exp_avg, exp_avg_sq),
            )

    return step

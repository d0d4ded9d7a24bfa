"""The implementations of a step: by this project, torch, and DeepSpeed if it is installed."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from op_builder import envs
from op_builder.errors import CommandError
from op_builder.system import process

from .arrays import LOSS_SCALE, Arrays
from .cases import StepCase
from .implementation import DEEPSPEED, OURS, AbsentError, Implementation, Step
from .kernels import BUILDERS, lower_isas
from .reference import BETAS, EPS, STEPS_BEFORE, WEIGHT_DECAY, max_norm

if TYPE_CHECKING:
    import torch

    MakeOptimizer = Callable[[StepCase, Arrays, float], torch.optim.Optimizer]

#: Why a quick run leaves out DeepSpeed, whose op takes most of a minute to build.
NOT_BUILT = "not built in a quick run"
#: How long a peer may take to build or to load; DeepSpeed's op takes 45 s on two cores.
PEER_TIMEOUT_S = 600.0
_DEEPSPEED_NAMES = {
    "adamw": ("deepspeed.ops.adam", "DeepSpeedCPUAdam"),
    "lion": ("deepspeed.ops.lion", "DeepSpeedCPULion"),
    "adagrad": ("deepspeed.ops.adagrad", "DeepSpeedCPUAdagrad"),
}


def keep_deepspeeds_ops() -> None:
    """Measure DeepSpeed with its own ops; call this before torch is imported.

    torch's entry points would replace them by this project's.
    """
    os.environ[envs.DEEPSPEED.name] = "0"


def why_absent(error: CommandError) -> str:
    """Return the reason in a row: that a peer hung, or the end of what it printed."""
    if error.timeout is None:
        lines = error.output.strip().splitlines() or ["it printed nothing"]
        return f"failed: {lines[-1]}"
    return (
        f"took longer than {error.timeout:g} s; DeepSpeed waits for ever on the `lock` file of a "
        "build that was killed: delete it in TORCH_EXTENSIONS_DIR (~/.cache/torch_extensions)"
    )


def implementations(
    case: StepCase, *, every_isa: bool = False, quick: bool = False
) -> list[Implementation]:
    """Return all for a case; with ``every_isa``, this project's on lower ISAs too."""
    found = [Implementation(OURS, _ours)]
    for lower in lower_isas(case) if every_isa else ():
        found.append(Implementation(f"{OURS}, {lower}", _ours_on(lower)))
    if case.optimizer == "lion":
        found.append(Implementation("torch composed", _torch_lion))
    elif case.offload:  # clipping and unscaling do not depend on how AdamW is called
        found.append(Implementation("torch fused", _torch("fused")))
    else:
        found.append(Implementation("torch fused", _torch("fused")))
        found.append(Implementation("torch foreach", _torch("foreach")))
    deepspeed = _not_built if quick else _passes(_deepspeed, first_step=STEPS_BEFORE)
    return [*found, Implementation(DEEPSPEED, deepspeed)]


def _not_built(*_: object) -> Step:
    raise AbsentError(NOT_BUILT)


def _settings(case: StepCase, lr: float) -> dict[str, Any]:
    if case.optimizer == "adagrad":
        return {"lr": lr, "eps": EPS}
    settings = {"lr": lr, "betas": BETAS, "weight_decay": WEIGHT_DECAY}
    return settings if case.optimizer == "lion" else {**settings, "eps": EPS}


def _with_states(
    optimizer: torch.optim.Optimizer, case: StepCase, arrays: Arrays, first_step: Any = None
) -> None:
    import torch

    for index, param in enumerate(arrays.params):
        states = {
            name: tensors[index] for name, tensors in zip(case.states, arrays.states, strict=True)
        }
        if "sum" in states:  # DeepSpeed's name
            states["exp_avg_sq"] = states["sum"]
        step = torch.tensor(float(STEPS_BEFORE)) if first_step is None else first_step
        optimizer.state[param].update(step=step, **states)


def _ours(case: StepCase, arrays: Arrays, lr: float) -> Step:
    import ascend_ops

    classes = {
        "adamw": ascend_ops.CPUAdam,
        "lion": ascend_ops.CPULion,
        "adagrad": ascend_ops.CPUAdagrad,
    }
    fp32_states = case.state_dtype == "float32"
    optimizer = classes[case.optimizer](
        arrays.params, **_settings(case, lr), fp32_optimizer_states=fp32_states
    )
    _with_states(optimizer, case, arrays)
    if not case.offload:
        step: Step = optimizer.step
        return step
    return lambda: optimizer.offload_step(
        arrays.grads,
        low_precision_params=arrays.copies,
        loss_scale=LOSS_SCALE,
        max_norm=max_norm(case),
    )


def _ours_on(isa: str) -> Callable[[StepCase, Arrays, float], Step]:
    """Select the ISA before each call, since other calls run in between; it takes microseconds."""

    def make(case: StepCase, arrays: Arrays, lr: float) -> Step:
        library = BUILDERS[case.optimizer]().load()
        step = _ours(case, arrays, lr)
        best = library.cpu_capability()

        def forced() -> None:
            library.set_cpu_capability(isa)
            try:
                step()
            finally:
                library.set_cpu_capability(best)

        return forced

    return make


def _passes(make: MakeOptimizer, first_step: Any = None) -> Callable[..., Step]:
    """Return an optimizer's step; for offload, with the passes before and after it."""

    def stepper(case: StepCase, arrays: Arrays, lr: float) -> Step:
        import torch

        optimizer = make(case, arrays, lr)
        _with_states(optimizer, case, arrays, first_step)
        step: Step = optimizer.step
        if not case.offload:
            return step
        for param in arrays.params:
            param.grad = torch.zeros_like(param) if param.grad is None else param.grad
        params: list[torch.Tensor] = list(arrays.params)
        wide = [param.grad for param in arrays.params if param.grad is not None]

        @torch.no_grad()
        def offload() -> None:
            torch._foreach_copy_(wide, arrays.grads)
            torch._foreach_div_(wide, LOSS_SCALE)
            torch.nn.utils.clip_grad_norm_(params, max_norm(case), foreach=True)
            step()
            torch._foreach_copy_(arrays.copies, params)

        return offload

    return stepper


def _torch(how: str) -> Callable[..., Step]:
    def make(case: StepCase, arrays: Arrays, lr: float) -> torch.optim.Optimizer:
        import torch

        if case.state_dtype != case.dtype:
            raise AbsentError(f"does not support states in {case.state_dtype}")
        classes: dict[str, Any] = {"adamw": torch.optim.AdamW, "adagrad": torch.optim.Adagrad}
        optimizer: torch.optim.Optimizer = classes[case.optimizer](
            arrays.params, **_settings(case, lr), **{how: True}
        )
        return optimizer

    return _passes(make)


def _torch_lion(case: StepCase, arrays: Arrays, lr: float) -> Step:
    """Compute Lion with torch's foreach functions, since torch does not have it."""
    import torch

    del case
    beta1, beta2 = BETAS
    params: list[torch.Tensor] = list(arrays.params)
    exp_avgs = arrays.states[0]

    @torch.no_grad()
    def step() -> None:
        updates = torch._foreach_lerp(exp_avgs, arrays.grads, 1 - beta1)
        torch._foreach_sign_(updates)
        torch._foreach_mul_(params, 1 - lr * WEIGHT_DECAY)
        torch._foreach_add_(params, updates, alpha=-lr)
        torch._foreach_lerp_(exp_avgs, arrays.grads, 1 - beta2)

    return step


def _deepspeed(case: StepCase, arrays: Arrays, lr: float) -> torch.optim.Optimizer:
    from ascend_ops.integrations.deepspeed import is_active

    if importlib.util.find_spec(DEEPSPEED) is None:
        raise AbsentError("not installed")
    if is_active():
        raise AbsentError("it runs on ascend_ops in this process: set ASCEND_OPS_DEEPSPEED=0")
    module, name = _DEEPSPEED_NAMES[case.optimizer]
    settings = _settings(case, lr)
    settings["fp32_optimizer_states"] = case.state_dtype == "float32"
    if case.optimizer == "adamw":
        settings["adamw_mode"] = True
    reason = _why_not_built(name)
    if reason is not None:
        raise AbsentError(reason)
    try:
        optimizer: torch.optim.Optimizer = getattr(importlib.import_module(module), name)(
            list(arrays.params), **settings
        )
    except Exception as error:
        raise AbsentError(f"cannot be built: {error}") from error
    return optimizer


@functools.cache
def _why_not_built(name: str) -> str | None:
    """Build DeepSpeed's op in another process, which can be stopped if it hangs, once per run.

    Returns:
        None, or the reason of its absence.
    """
    builder = f"{name.removeprefix('DeepSpeed')}Builder"
    code = f"from deepspeed.ops.op_builder import {builder}; {builder}().load()"
    try:
        process.run(
            [sys.executable, "-c", code], env=envs.process_environment(), timeout=PEER_TIMEOUT_S
        )
    except CommandError as error:
        return why_absent(error)
    return None

"""The fused optimizers under the GradScalers of torch and of torch_npu, used as trainers do."""

from __future__ import annotations

import pytest
from emulated_process import run

TRAINING = """
import contextlib, io, sys, torch, torch_npu, warnings
import ascend_ops
warnings.simplefilter("error", FutureWarning)

def train(cls, device, scaler, dtype, clip, infinite, wrap):
    torch.manual_seed(0)
    params = [torch.nn.Parameter(torch.randn(n).to(device, dtype)) for n in (3, 5)]
    optimizer = cls(params, lr=0.1)
    taken = []
    if wrap:  # what Accelerate does: a step without a signature of its own, a closure by position
        method = optimizer.step
        optimizer.step = lambda *args, **kwargs: (taken.append(1), method(*args, **kwargs))[1]
    for step in range(4):
        optimizer.zero_grad()
        x = torch.randn(1).to(device, dtype)
        loss = sum((p * p * x).sum() for p in params)
        (scaler.scale(loss) if scaler else loss).backward()
        if step == infinite:
            if not scaler:
                continue
            params[1].grad[2] = float("inf")
        if clip:
            scaler and scaler.unscale_(optimizer)
            torch.nn.utils.clip_grad_norm_(params, 0.5)
        if scaler:
            scaler.step(optimizer, None) if wrap else scaler.step(optimizer)
            scaler.update()
        else:
            optimizer.step()
    return [p.detach().cpu().float() for p in params], float(optimizer.state[params[0]]["step"])

for name, scaler_class in (("npu", torch.npu.amp.GradScaler), ("torch", torch.amp.GradScaler)):
    for cls in (ascend_ops.FusedAdamW, ascend_ops.FusedLion, ascend_ops.FusedLamb):
        for dtype, clip, wrap in (("float32", False, True), ("float32", True, False),
                                  ("float16", False, False)):
            options = {"device": "npu"} if name == "torch" else {}
            scaler = scaler_class(init_scale=1024.0, growth_interval=100, **options)
            dtype = getattr(torch, dtype)
            with contextlib.redirect_stdout(io.StringIO()):
                found, steps = train(cls, "npu", scaler, dtype, clip, 2, wrap)
                wanted, _ = train(cls, "cpu", None, dtype, clip, 2, False)
            close = 1e-5 if dtype == torch.float32 else 1e-2
            same = all(torch.allclose(a, b, atol=close) for a, b in zip(found, wanted))
            print(name, cls.__name__, dtype, clip, "same", same, steps, scaler.get_scale())
optimizer = ascend_ops.FusedAdamW([torch.nn.Parameter(torch.ones(3).npu())])
for arguments in ({"grad_scaler": 3}, {"scale": 3}):
    try:
        optimizer.step(**arguments)
    except TypeError as error:
        print(error)
optimizer.step(grad_scaler=torch.npu.amp.GradScaler(enabled=False))
print("done")
"""


@pytest.mark.parametrize("disabled", ["", "aclnnFusedAdamw,aclnnApplyAdamWV2"])
def test_steps_are_those_of_unscaled_gradients_and_an_infinity_skips_one(disabled):
    done = run(TRAINING, ASCEND_OPS_DISABLED_ACLNN=disabled)
    assert "done" in done.stdout, done.stdout + done.stderr[-3000:]
    lines = [line for line in done.stdout.splitlines() if " same " in line]
    assert len(lines) == 18
    assert [line for line in lines if not line.endswith("same True 3.0 512.0")] == []
    assert "grad_scaler must be a torch.amp.GradScaler, got int" in done.stdout
    assert "step() got an unexpected keyword argument 'scale'" in done.stdout

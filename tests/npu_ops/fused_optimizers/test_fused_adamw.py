"""FusedAdamW against torch.optim.AdamW in fp64, with each of CANN's functions and without."""

from __future__ import annotations

import textwrap

import pytest
from emulated_process import run
from op_checks import assert_close

npu = pytest.mark.npu
DEVICES = ["cpu", "npu"]
SHAPES = [(4, 5), (7,), (0,), ()]


def trained(cls, device, dtype="float32", steps=10, **settings):
    """Return the parameters after some steps, which have the same gradients for every ``cls``."""
    import torch

    generator = torch.Generator().manual_seed(0)
    start = [torch.randn(shape, generator=generator) for shape in SHAPES]
    grads = [[torch.randn(s, generator=generator) for s in SHAPES] for _ in range(steps)]
    wanted = getattr(torch, dtype)
    half = torch.bfloat16 if dtype == "bfloat16" else torch.float32
    params = [torch.nn.Parameter(s.to(half).to(device, wanted, copy=True)) for s in start]
    optimizer = cls(params, **settings)
    for given in grads:
        for param, grad in zip(params, given, strict=True):
            param.grad = grad.to(half).to(device, wanted)
        optimizer.step()
    return params


SETTINGS = [
    {},
    {"lr": 0.1, "weight_decay": 0.3, "betas": (0.5, 0.9), "eps": 1e-3},
    {"weight_decay": 0.0, "maximize": True},
]


@npu
@pytest.mark.parametrize("device", DEVICES)
def test_ten_steps_are_those_of_torch_in_fp64(device):
    import torch

    from ascend_ops import FusedAdamW

    for given in SETTINGS:
        settings = {"lr": 1e-2, "weight_decay": 1e-2, **given}
        found = trained(FusedAdamW, device, **settings)
        wanted = trained(torch.optim.AdamW, "cpu", "float64", **settings)
        adam = trained(FusedAdamW, device, decoupled_weight_decay=False, **settings)
        wanted_adam = trained(torch.optim.Adam, "cpu", "float64", **settings)
        for got, expected in zip([*found, *adam], [*wanted, *wanted_adam], strict=True):
            assert_close(got, expected, "float32", 4)


@npu
@pytest.mark.parametrize("device", DEVICES)
def test_bfloat16_parameters_stay_within_their_rounding(device):
    import torch

    from ascend_ops import FusedAdamW

    found = trained(FusedAdamW, device, "bfloat16", steps=3, lr=1e-2)
    wanted = trained(torch.optim.AdamW, "cpu", "float64", steps=3, lr=1e-2)
    for got, expected in zip(found, wanted, strict=True):
        assert got.dtype == torch.bfloat16
        assert_close(got, expected, "bfloat16", 2)


@npu
@pytest.mark.parametrize("device", DEVICES)
def test_without_bias_correction_the_formula_has_none(device):
    import torch

    from ascend_ops import FusedAdamW

    param = torch.nn.Parameter(torch.full((3,), 2.0).to(device))
    param.grad = torch.full((3,), 0.5).to(device)
    optimizer = FusedAdamW([param], lr=0.1, weight_decay=0.0, bias_correction=False)
    optimizer.step()
    first, second = 0.1 * 0.5, 0.001 * 0.25
    expected = torch.full((3,), 2.0 - 0.1 * first / (second**0.5 + 1e-8), dtype=torch.float64)
    assert_close(param, expected, "float32", 4)
    assert optimizer.state[param]["step"].item() == 1


@npu
@pytest.mark.parametrize("device", DEVICES)
def test_the_state_goes_to_torch_and_back(device):
    import torch

    from ascend_ops import FusedAdamW

    def both(first, second):
        torch.manual_seed(0)
        params = [torch.nn.Parameter(torch.randn(n).to(device)) for n in (3, 5)]
        grads = [torch.randn(4, n).to(device) for n in (3, 5)]
        one, other = first(params, lr=0.1), second(params, lr=0.1)
        for i in range(4):
            if i == 2:
                other.load_state_dict(one.state_dict())
            for param, grad in zip(params, grads, strict=True):
                param.grad = grad[i]
            (one if i < 2 else other).step()
        return params

    reference = both(torch.optim.AdamW, torch.optim.AdamW)
    for classes in ((FusedAdamW, torch.optim.AdamW), (torch.optim.AdamW, FusedAdamW)):
        for got, expected in zip(both(*classes), reference, strict=True):
            assert_close(got, expected, "float32", 4)


@npu
@pytest.mark.parametrize("device", DEVICES)
def test_parameters_that_miss_a_gradient_keep_a_count_of_their_own(device):
    import torch

    from ascend_ops import FusedAdamW

    def train(cls):
        torch.manual_seed(0)
        params = [torch.nn.Parameter(torch.randn(4).to(device)) for _ in range(2)]
        optimizer = cls(params, lr=0.1)
        scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
        for i in range(5):
            params[0].grad = torch.randn(4).to(device)
            params[1].grad = torch.randn(4).to(device) if i % 2 else None
            loss = optimizer.step(lambda: torch.tensor(3.0))
            scheduler.step()
        assert loss == 3.0
        return params, [optimizer.state[p]["step"].item() for p in params]

    found, counts = train(FusedAdamW)
    wanted, expected_counts = train(torch.optim.AdamW)
    assert counts == expected_counts == [5, 2]
    for got, expected in zip(found, wanted, strict=True):
        assert_close(got, expected, "float32", 4)


@npu
@pytest.mark.parametrize("device", DEVICES)
def test_strided_parameters_and_gradients_are_updated_and_not_lost(device):
    import torch

    from ascend_ops import FusedAdamW

    def train(cls):
        torch.manual_seed(0)
        param = torch.nn.Parameter(torch.randn(6, 4).to(device).t())
        optimizer = cls([param], lr=0.1)
        for _ in range(3):
            param.grad = torch.randn(4, 6).to(device)
            optimizer.step()
        return param

    assert_close(train(FusedAdamW), train(torch.optim.AdamW), "float32", 4)


SCALED = """
import torch, warnings
from ascend_ops import FusedAdamW
warnings.simplefilter("ignore")
def train(cls, device, dtype, infinite):
    torch.manual_seed(0)
    params = [torch.nn.Parameter(torch.randn(n).to(device, dtype)) for n in (3, 5)]
    optimizer = cls(params, lr=0.1)
    scaler = torch.amp.GradScaler(device, init_scale=1024.0, growth_interval=100)
    for step in range(4):
        optimizer.zero_grad()
        x = torch.randn(1).to(device, dtype)
        scaler.scale(sum((p * p * x).sum() for p in params)).backward()
        if step == infinite:
            params[1].grad[2] = float("inf")
        scaler.step(optimizer)
        scaler.update()
    return [p.detach().cpu().double() for p in params], scaler.get_scale()
found, scale = train(FusedAdamW, "npu", torch.float32, 2)
wanted, expected = train(torch.optim.AdamW, "cpu", torch.float64, 2)
print("same", all(torch.allclose(a, b, atol=1e-5) for a, b in zip(found, wanted)), scale, expected)
param = torch.nn.Parameter(torch.ones(3).npu())
param.grad = torch.ones(3).npu()
optimizer = FusedAdamW([param])
optimizer.step(noop_flag=torch.ones(1, dtype=torch.int32).npu())
print("kept", param.tolist(), float(optimizer.state[param]["step"]))
optimizer.step(noop_flag=torch.zeros(1, dtype=torch.int32).npu())
print("done", param[0].item() < 1, float(optimizer.state[param]["step"]))
"""


@pytest.mark.parametrize("disabled", ["", "aclnnFusedAdamw", "aclnnFusedAdamw,aclnnApplyAdamWV2"])
def test_loss_scaling_and_the_noop_flag_with_each_function_and_with_none(disabled):
    done = run(SCALED, ASCEND_OPS_DISABLED_ACLNN=disabled)
    assert "same True 512.0 512.0" in done.stdout, done.stdout + done.stderr[-2000:]
    assert "kept [1.0, 1.0, 1.0] 0.0" in done.stdout
    assert "done True 1.0" in done.stdout
    assert "leak" not in done.stderr.lower()


@npu
def test_each_function_gives_the_same():
    import torch

    from ascend_ops.fused_optimizers import adamw

    code = """
    import torch
    from ascend_ops.fused_optimizers import adamw
    lists = [[torch.linspace(-1, 1, n).npu() + i for n in (3, 4)] for i in range(4)]
    lists[3] = [t.abs() for t in lists[3]]
    adamw._adamw_op(*lists, torch.tensor(4.0).npu(), None, None, 0.1, 0.9, 0.99, 0.1, 1e-8, False)
    print("function", adamw._adamw_op.function())
    print("values", torch.cat([t for l in lists for t in l]).cpu().tolist())
    """
    outputs = []
    for disabled in ("", "aclnnFusedAdamw"):
        done = run(textwrap.dedent(code), ASCEND_OPS_DISABLED_ACLNN=disabled)
        assert "values" in done.stdout, done.stderr[-2000:]
        outputs.append(dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line))
    assert [o["function"] for o in outputs] == ["aclnnFusedAdamw", "aclnnApplyAdamWV2"]
    lists = [[torch.linspace(-1, 1, n) + i for n in (3, 4)] for i in range(4)]
    lists[3] = [tensor.abs() for tensor in lists[3]]
    step = torch.tensor(4.0)
    adamw._fused_adamw(*lists, step, None, None, 0.1, 0.9, 0.99, 0.1, 1e-8, False)
    expected = torch.cat([tensor for tensors in lists for tensor in tensors])
    for output in outputs:
        found = torch.tensor(eval(output["values"]))
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


@npu
def test_opcheck_passes():
    import torch

    from ascend_ops.fused_optimizers import adamw

    for device in DEVICES:
        lists = [[torch.rand(n).to(device) for n in (3, 4)] for _ in range(4)]
        step = torch.tensor(2.0).to(device)
        arguments = (*lists, step, None, None, 0.1, 0.9, 0.99, 0.1, 1e-8, False)
        tests = ("test_schema", "test_autograd_registration", "test_faketensor")
        torch.library.opcheck(adamw._adamw_op.overload, arguments, test_utils=tests)

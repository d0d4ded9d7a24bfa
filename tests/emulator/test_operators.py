"""Operators on the emulated NPU agree with torch on the CPU, and gradients with autograd's."""

from __future__ import annotations

import math

import pytest

npu = pytest.mark.npu


def gradients(function, *shapes, dtype=None):
    """Return the gradients of the inputs of ``function`` on both devices."""
    import torch

    torch.manual_seed(0)
    inputs = [torch.randn(shape, dtype=dtype or torch.float32) for shape in shapes]
    found = []
    for device in ("cpu", "npu"):
        leaves = [x.clone().to(device).requires_grad_() for x in inputs]
        out = function(*leaves)
        out.float().pow(2).sum().backward()
        found.append([leaf.grad.cpu() for leaf in leaves])
    return zip(*found, strict=True)


BACKWARD = {
    "layer_norm": (lambda f, x, w, b: f.layer_norm(x, (6,), w, b), ((4, 6), (6,), (6,))),
    "group_norm": (lambda f, x, w, b: f.group_norm(x, 2, w, b), ((2, 4, 3), (4,), (4,))),
    "batch_norm": (
        lambda f, x, w, b: f.batch_norm(x, None, None, w, b, True),
        ((5, 4, 3), (4,), (4,)),
    ),
    "conv2d": (lambda f, x, w, b: f.conv2d(x, w, b, 2, 1), ((2, 3, 8, 8), (4, 3, 3, 3), (4,))),
    "conv_transpose2d": (lambda f, x, w: f.conv_transpose2d(x, w), ((1, 3, 5, 5), (3, 2, 3, 3))),
    "max_pool2d": (lambda f, x: f.max_pool2d(x, 3, 2, 1), ((2, 3, 9, 9),)),
    "max_pool3d": (lambda f, x: f.max_pool3d(x, 2), ((1, 2, 6, 6, 6),)),
    "avg_pool2d": (lambda f, x: f.avg_pool2d(x, 2), ((2, 3, 8, 8),)),
    "avg_pool3d": (lambda f, x: f.avg_pool3d(x, 2), ((1, 2, 4, 4, 4),)),
    "grid_sample": (
        lambda f, x, g: f.grid_sample(x, g.tanh(), align_corners=False),
        ((1, 2, 5, 5), (1, 3, 3, 2)),
    ),
    "gelu_tanh": (lambda f, x: f.gelu(x, approximate="tanh"), ((4, 6),)),
    "silu": (lambda f, x: f.silu(x), ((4, 6),)),
    "elu": (lambda f, x: f.elu(x), ((4, 6),)),
    "glu": (lambda f, x: f.glu(x), ((4, 6),)),
    "mish": (lambda f, x: f.mish(x), ((4, 6),)),
    "hardswish": (lambda f, x: f.hardswish(x), ((4, 6),)),
    "leaky_relu": (lambda f, x: f.leaky_relu(x, 0.2), ((4, 6),)),
    "prelu": (lambda f, x, w: f.prelu(x, w), ((4, 6, 3), (6,))),
    "softplus": (lambda f, x: f.softplus(x), ((4, 6),)),
    "logsigmoid": (lambda f, x: f.logsigmoid(x), ((4, 6),)),
    "softmax": (lambda f, x: f.softmax(x, -1), ((4, 6),)),
    "log_softmax": (lambda f, x: f.log_softmax(x, -1), ((4, 6),)),
    "mse_loss": (lambda f, x, y: f.mse_loss(x, y), ((4, 6), (4, 6))),
    "l1_loss": (lambda f, x, y: f.l1_loss(x, y), ((4, 6), (4, 6))),
    "smooth_l1_loss": (lambda f, x, y: f.smooth_l1_loss(x, y), ((4, 6), (4, 6))),
    "bce_with_logits": (
        lambda f, x, y: f.binary_cross_entropy_with_logits(x, y.sigmoid().detach()) + y.mean(),
        ((4, 6), (4, 6)),
    ),
    "kl_div": (
        lambda f, x, y: f.kl_div(x, y.exp().detach(), reduction="batchmean") + y.mean(),
        ((4, 6), (4, 6)),
    ),
    "interpolate_bilinear": (lambda f, x: f.interpolate(x, 7, mode="bilinear"), ((1, 2, 4, 4),)),
    "interpolate_nearest": (lambda f, x: f.interpolate(x, 8), ((1, 2, 4, 4),)),
    "pad_reflect": (lambda f, x: f.pad(x, (1, 2), mode="reflect"), ((2, 3, 6),)),
    "matmul": (lambda f, x, y: x @ y, ((2, 4, 6), (2, 6, 3))),
    "attention": (
        lambda f, q, k, v: f.softmax(q @ k.transpose(-1, -2) / 2, -1) @ v,
        ((2, 5, 4), (2, 5, 4), (2, 5, 4)),
    ),
}


@npu
def test_gradients_agree_with_the_cpus():
    import torch

    wrong = {}
    for name, (function, shapes) in BACKWARD.items():

        def bound(*inputs, function=function):
            return function(torch.nn.functional, *inputs)

        try:
            for wanted, found in gradients(bound, *shapes):
                torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
        except Exception as error:  # noqa: BLE001 - all of them are shown together
            wrong[name] = str(error)[:200]
    assert not wrong


def reference_attention(q, k, v, mask, scale):
    scores = q @ k.transpose(-1, -2) * scale
    if mask is not None:
        scores = scores.masked_fill(mask, float("-inf"))
    return scores.softmax(-1) @ v


@npu
@pytest.mark.parametrize("layout", ["BNSD", "BSND", "BSH", "SBH"])
@pytest.mark.parametrize("causal", [False, True])
def test_flash_attention_and_its_gradient(layout, causal):
    import torch
    import torch_npu

    batch, heads, length, width = 2, 4, 16, 8
    torch.manual_seed(0)
    bnsd = [torch.randn(batch, heads, length, width) for _ in range(3)]
    order = {"BNSD": (0, 1, 2, 3), "BSND": (0, 2, 1, 3), "BSH": (0, 2, 1, 3), "SBH": (2, 0, 1, 3)}

    def arranged(x):
        moved = x.permute(order[layout]).contiguous()
        return moved if layout in ("BNSD", "BSND") else moved.flatten(2)

    def back(x):
        whole = x if layout in ("BNSD", "BSND") else x.unflatten(2, (heads, width))
        inverse = [order[layout].index(i) for i in range(4)]
        return whole.permute(inverse)

    mask = torch.triu(torch.ones(length, length, dtype=torch.bool), 1) if causal else None
    scale = 1 / math.sqrt(width)
    wanted = [x.clone().requires_grad_() for x in bnsd]
    expected = reference_attention(*wanted, mask, scale)
    expected.square().sum().backward()
    found = [arranged(x).npu().requires_grad_() for x in bnsd]
    out = torch_npu.npu_fusion_attention(
        *found, heads, layout, atten_mask=None if mask is None else mask.npu(), scale=scale
    )[0]
    out.square().sum().backward()
    torch.testing.assert_close(back(out.detach().cpu()), expected.detach(), rtol=1e-4, atol=1e-5)
    for ours, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(back(ours.grad.cpu()), theirs.grad, rtol=1e-4, atol=1e-4)


@npu
@pytest.mark.parametrize("kind", ["plain", "foreach", "fused", "amsgrad"])
def test_adamw_steps_as_on_the_cpu(kind):
    import torch

    torch.manual_seed(0)
    start, grads = torch.randn(7, 5), torch.randn(4, 7, 5)
    found = []
    for device in ("cpu", "npu"):
        param = torch.nn.Parameter(start.clone().to(device))
        options = {"foreach": kind == "foreach", "amsgrad": kind == "amsgrad"}
        if kind == "fused" and device == "npu":
            options = {"fused": True}
        optimizer = torch.optim.AdamW([param], lr=0.1, weight_decay=0.1, **options)
        for grad in grads:
            param.grad = grad.to(device)
            optimizer.step()
        found.append(param.detach().cpu())
    torch.testing.assert_close(found[1], found[0], rtol=1e-5, atol=1e-6)


@npu
def test_the_single_operator_path_applies_adamw():
    import torch
    import torch_npu

    torch.manual_seed(0)
    var, grad = torch.randn(10), torch.randn(10)
    zeros = torch.zeros(10)
    lr, decay, beta1, beta2, eps = 0.1, 0.05, 0.9, 0.99, 1e-8
    out = [torch.empty(10).npu() for _ in range(3)]
    torch_npu.npu_apply_adam_w(
        *(beta1, beta2, lr, decay, beta1, beta2, eps, grad.npu(), None, False, False),
        out=(var.clone().npu(), zeros.clone().npu(), zeros.clone().npu()),
    )
    del out
    param = torch.nn.Parameter(var.clone())
    param.grad = grad
    torch.optim.AdamW([param], lr, (beta1, beta2), eps, decay).step()
    target = var.clone().npu()
    torch_npu.npu_apply_adam_w(
        *(beta1, beta2, lr, decay, beta1, beta2, eps, grad.npu(), None, False, False),
        out=(target, zeros.clone().npu(), zeros.clone().npu()),
    )
    torch.testing.assert_close(target.cpu(), param.detach(), rtol=1e-5, atol=1e-6)


@npu
def test_norms_and_gates_of_language_models():
    import torch
    import torch_npu

    torch.manual_seed(0)
    x, gamma = torch.randn(3, 8), torch.randn(8)
    y, rstd = torch_npu.npu_rms_norm(x.npu(), gamma.npu(), 1e-6)
    wanted = torch.nn.functional.rms_norm(x, (8,), gamma, 1e-6)
    torch.testing.assert_close(y.cpu(), wanted, rtol=1e-5, atol=1e-6)
    assert rstd.cpu().shape == (3, 1)
    for ours, theirs in zip(
        torch.autograd.functional.vjp(
            lambda a, g: torch_npu.npu_rms_norm(a, g, 1e-6)[0],
            (x.npu(), gamma.npu()),
            torch.ones(3, 8).npu(),
        )[1],
        torch.autograd.functional.vjp(
            lambda a, g: torch.nn.functional.rms_norm(a, (8,), g, 1e-6),
            (x, gamma),
            torch.ones(3, 8),
        )[1],
        strict=True,
    ):
        torch.testing.assert_close(ours.cpu(), theirs, rtol=1e-4, atol=1e-5)
    added, _, total = torch_npu.npu_add_rms_norm(x.npu(), x.npu(), gamma.npu(), 1e-6)
    wanted = torch.nn.functional.rms_norm(2 * x, (8,), gamma, 1e-6)
    torch.testing.assert_close(added.cpu(), wanted, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(total.cpu(), 2 * x)
    gate = torch_npu.npu_swiglu(x.npu(), dim=-1).cpu()
    torch.testing.assert_close(gate, torch.nn.functional.silu(x[:, :4]) * x[:, 4:])
    fast = torch_npu.fast_gelu(x.npu()).cpu()
    torch.testing.assert_close(fast, x * torch.sigmoid(1.702 * x), rtol=1e-4, atol=1e-5)


@npu
def test_random_numbers_repeat_with_the_seed_and_have_their_distribution():
    import torch

    def draw():
        torch.npu.manual_seed(3)
        return torch.randn(10000, device="npu").cpu(), torch.rand(10000, device="npu").cpu()

    normal, uniform = draw()
    again, _ = draw()
    assert torch.equal(normal, again)
    assert abs(normal.mean()) < 0.05
    assert abs(normal.std() - 1) < 0.05
    assert abs(uniform.mean() - 0.5) < 0.02
    dropped = torch.nn.functional.dropout(torch.ones(10000).npu(), 0.3).cpu()
    assert 0.66 < (dropped != 0).float().mean() < 0.74
    assert dropped.max() == pytest.approx(1 / 0.7)


@npu
def test_multi_tensor_operators():
    import torch

    torch.manual_seed(0)
    x, y, z = ([torch.rand(3, 4) + 0.2, torch.rand(5) + 0.2] for _ in range(3))

    def there(value):
        return [tensor.npu() for tensor in value] if isinstance(value, list) else value

    unary = "abs acos asin atan cos cosh erf erfc exp expm1 log log10 log1p log2 neg reciprocal"
    calls = [(f"_foreach_{name}", ([t.clamp(0.1, 0.9) for t in x],)) for name in unary.split()]
    calls += [
        (f"_foreach_{name}", (x,))
        for name in ["sigmoid", "sign", "sin", "sinh", "sqrt", "tan", "tanh"]
    ]
    for name in ("add", "sub", "mul", "div"):
        calls += [(f"_foreach_{name}", (x, other)) for other in (2.5, y)]
        if name in ("mul", "div"):
            calls.append((f"_foreach_{name}", (x, [1.5, 2.5])))
    calls += [(f"_foreach_{name}", (x, y)) for name in ("maximum", "minimum", "pow")]
    calls += [("_foreach_pow", (x, 2.0)), ("_foreach_lerp", (x, y, 0.3)), ("_foreach_norm", (x,))]
    calls += [(f"_foreach_addc{name}", (x, y, z, 0.5)) for name in ("mul", "div")]
    wrong = {}
    for name, arguments in calls:
        lists = [isinstance(a, list) and isinstance(a[0], torch.Tensor) for a in arguments]
        on_npu = [there(a) if is_list else a for a, is_list in zip(arguments, lists, strict=True)]
        for expected, actual in zip(
            getattr(torch, name)(*arguments), getattr(torch, name)(*on_npu), strict=True
        ):
            if not torch.allclose(actual.cpu(), expected, rtol=1e-4, atol=1e-5):
                wrong[name] = (expected, actual.cpu())
    assert not wrong
    zeroed = there([t.clone() for t in x])
    torch._foreach_zero_(zeroed)
    assert all((t.cpu() == 0).all() for t in zeroed)
    grads = there([t.clone() for t in x])
    found = torch.zeros(1).npu()
    torch._amp_foreach_non_finite_check_and_unscale_(grads, found, torch.tensor([0.5]).npu())
    assert found.item() == 0
    torch.testing.assert_close(grads[0].cpu(), x[0] * 0.5)
    grads[0][0, 0] = float("inf")
    torch._amp_foreach_non_finite_check_and_unscale_(grads, found, torch.tensor([0.5]).npu())
    assert found.item() == 1


def test_lengths_of_queries_with_one_token_have_no_effect():
    import torch
    import torch_npu

    torch.manual_seed(0)
    query, key, value = (torch.randn(2, 2, n, 64).half().npu() for n in (1, 9, 9))
    with_lengths, without = (
        torch_npu.npu_fused_infer_attention_score(
            query, key, value, num_heads=2, input_layout="BNSD", scale=0.125, **lengths
        )[0]
        for lengths in ({"actual_seq_lengths": [100, 3]}, {})
    )
    assert torch.equal(with_lengths, without)

"""Operator variants that OpInfo's samples do not reach: scalar operands, in place, sizes."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.npu


def cases():
    import torch

    f = torch.nn.functional
    return {
        "bits": lambda i, x: [i & 3, i | 3, i ^ 3, i << 2],
        "bits in place": lambda i, x: [i.clone().__iand__(3), i.clone().__ixor__(3)],
        "division": lambda i, x: [torch.fmod(x, 2), x // 2, torch.remainder(x, 2), torch.div(x, 2)],
        "rounded": lambda i, x: [torch.div(x, 0.3, rounding_mode=m) for m in ("trunc", "floor")],
        "scalar first": lambda i, x: [torch.remainder(7, x + 9), 2 - x, 2 / (x + 9), 2**x],
        "division in place": lambda i, x: [
            x.clone().fmod_(2),
            x.clone().floor_divide_(2),
            x.clone().remainder_(2),
            x.clone().div_(0.3, rounding_mode="floor"),
        ],
        "compare": lambda i, x: [i.clone().eq_(1), i.clone().ne_(1), i.clone().lt_(1)],
        "compare more": lambda i, x: [i.clone().le_(1), i.clone().gt_(1), i.clone().ge_(1)],
        "sub": lambda i, x: [x.clone().sub_(3), x.clone().sub_(3, alpha=2), torch.rsub(x, 2)],
        "xlogy": lambda i, x: [torch.xlogy(x, 2.0), torch.xlogy(2.0, x + 9)],
        "xlogy in place": lambda i, x: [x.clone().xlogy_(2.0)],
        "isin": lambda i, x: [torch.isin(i, 2), torch.isin(2, i)],
        "limits": lambda i, x: [x.clone().clamp_max_(0.5), torch.clamp_max(x, 0.5)],
        "activations in place": lambda i, x: [
            f.relu_(x.clone()),
            f.hardtanh_(x.clone()),
            f.hardswish(x, inplace=False),
            f.hardswish(x.clone(), inplace=True),
        ],
        "search": lambda i, x: [
            torch.bucketize(x, x.flatten().sort().values),
            torch.searchsorted(x.flatten().sort().values, 0.3),
        ],
        "repeat": lambda i, x: [
            torch.repeat_interleave(i.abs()[0]),
            torch.repeat_interleave(x, 3),
            torch.repeat_interleave(x, torch.ones_like(i[:, 0]) * 2, dim=0),
        ],
        "matrices": lambda i, x: [torch.inverse(x[:4, :4] + 9 * torch.eye(4).to(x.device))],
        "broadcast into a tensor": lambda i, x: [
            torch.empty_like(x).copy_(x[0]),
            torch.empty_like(x).copy_(x[:, :1]),
        ],
        "sign of complex numbers": lambda i, x: [
            torch.view_as_real(torch.sgn(torch.complex(x, x)))
        ],
        "renorm": lambda i, x: [torch.renorm(x, 2, 0, 0.5), x.clone().renorm_(1, -1, 0.5)],
        "slogdet": lambda i, x: list(torch.linalg.slogdet(x[:4, :4])),
        "padding": lambda i, x: [
            f.pad(x.view(1, 1, 4, 6), (1, 2, 1, 2), mode="reflect"),
            f.pad(x.view(1, 1, 2, 2, 6), (1, 1, 1, 1, 1, 1), mode="reflect"),
            f.pad(x.view(1, 1, 2, 2, 6), (1, 1, 1, 1, 1, 1), mode="replicate"),
        ],
        "resampling": lambda i, x: [
            f.interpolate(x.view(1, 1, 24), 31),
            f.interpolate(x.view(1, 1, 4, 6), (7, 9)),
            f.interpolate(x.view(1, 1, 2, 2, 6), (3, 5, 7)),
            f.interpolate(x.view(1, 1, 4, 6), (7, 9), mode="nearest-exact"),
            f.interpolate(x.view(1, 1, 2, 2, 6), (3, 5, 7), mode="nearest-exact"),
            f.interpolate(x.view(1, 1, 4, 6), (7, 9), mode="bicubic", antialias=True),
        ],
        "scatter in place": lambda i, x: [x.clone().scatter_(1, (i % 6).abs()[:, :2], 5.0)],
        "foreach lists": lambda i, x: [
            *torch._foreach_add([x, x], [1.0, 2.0]),
            *torch._foreach_sub([x, x], [1.0, 2.0]),
            *torch._foreach_pow([x.abs(), x.abs()], [1.0, 2.0]),
            *torch._foreach_addcmul([x], [x], [x], [0.5]),
            *torch._foreach_addcdiv([x], [x], [x + 9], [0.5]),
            *torch._foreach_sub([x], [x * 2]),
        ],
        "extremes": lambda i, x: [*torch.aminmax(x), *torch.aminmax(x, dim=1)],
        "range": lambda i, x: [torch.range(0, 5, 2, device=x.device)],
    }


def test_variants_agree_with_the_cpu():
    import torch

    torch.manual_seed(0)
    integers, x = torch.randint(0, 5, (4, 6)), torch.randn(4, 6)
    wrong = {}
    for name, case in cases().items():
        try:
            wanted = case(integers, x)
            found = case(integers.npu(), x.npu())
            for expected, actual in zip(wanted, found, strict=True):
                torch.testing.assert_close(
                    actual.cpu(), expected, rtol=1e-4, atol=1e-5, check_dtype=False
                )
        except Exception as error:  # noqa: BLE001 - all of them are shown together
            wrong[name] = " ".join(str(error).split())[:200]
    assert not wrong


def test_gradients_of_gates():
    import torch
    import torch_npu

    torch.manual_seed(0)
    start = torch.randn(3, 8)

    def grad(function, device):
        x = start.clone().to(device).requires_grad_()
        function(x).square().sum().backward()
        return x.grad.cpu()

    silu, gelu = torch.nn.functional.silu, torch.nn.functional.gelu
    pairs = {
        "swiglu": (torch_npu.npu_swiglu, lambda x: silu(x[:, :4]) * x[:, 4:]),
        "geglu": (
            lambda x: torch_npu.npu_geglu(x, dim=1, approximate=0)[0],
            lambda x: x[:, :4] * gelu(x[:, 4:]),
        ),
        "geglu by tanh": (
            lambda x: torch_npu.npu_geglu(x)[0],
            lambda x: x[:, :4] * gelu(x[:, 4:], approximate="tanh"),
        ),
        "geglu of the left": (
            lambda x: torch_npu.npu_geglu(x.t(), 0, 0, True)[0],
            lambda x: gelu(x.t()[:4]) * x.t()[4:],
        ),
        "fast_gelu": (torch_npu.fast_gelu, lambda x: x * torch.sigmoid(1.702 * x)),
        "hardswish": (torch.nn.functional.hardswish,) * 2,
        "pad": (lambda x: torch.nn.functional.pad(x.view(1, 1, 3, 8), (1, 1, 1, 1), "reflect"),)
        * 2,
        "bilinear": (
            lambda x: torch.nn.functional.interpolate(x.view(1, 1, 3, 8), (5, 9), mode="bilinear"),
        )
        * 2,
    }
    for ours, reference in pairs.values():
        torch.testing.assert_close(grad(ours, "npu"), grad(reference, "cpu"), rtol=1e-3, atol=1e-4)


def test_permutations_and_normals_have_their_properties():
    import torch

    assert sorted(torch.randperm(50, device="npu").cpu().tolist()) == list(range(50))
    deviations = torch.full((20000,), 2.0).npu()
    drawn = torch.normal(3.0, deviations).cpu()
    assert abs(drawn.mean() - 3) < 0.1
    assert abs(drawn.std() - 2) < 0.1


def test_renorm_counts_elements_with_the_norm_zero():
    import torch

    x = torch.tensor([[1.0, 0.0, 3.0, 5.0], [0.0, 2.0, 0.0, 0.0]])
    wanted = x * torch.tensor([[2 / 3], [1.0]])
    torch.testing.assert_close(torch.renorm(x.npu(), 0, 0, 2).cpu(), wanted)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_random_integers_of_half_precision_stay_below_their_bound(dtype):
    import torch

    x = torch.empty(4000, dtype=getattr(torch, dtype)).npu()
    for low, high in ((0, 42), (-5000, 32752), (0, 4097)):
        found = x.random_(low, high).cpu().float()
        assert low <= found.min() < low + 0.1 * (high - low)
        assert high - 0.1 * (high - low) < found.max() < high

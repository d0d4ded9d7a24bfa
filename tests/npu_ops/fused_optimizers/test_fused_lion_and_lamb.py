"""FusedLion and FusedLamb against their formulas in fp64."""

from __future__ import annotations

import pytest
from op_checks import assert_close
from test_fused_adamw import DEVICES, trained

npu = pytest.mark.npu


class Lion:
    """The formula of Lion, one tensor at a time."""

    def __init__(self, params, lr=1e-4, betas=(0.9, 0.99), weight_decay=0.0, maximize=False):
        import torch

        self.settings = (lr, *betas, weight_decay, -1.0 if maximize else 1.0)
        self.params = params
        self.moments = [torch.zeros_like(p) for p in params]

    def step(self):
        lr, beta1, beta2, decay, sign = self.settings
        for i, param in enumerate(self.params):
            grad = sign * param.grad
            direction = (beta1 * self.moments[i] + (1 - beta1) * grad).sign()
            param.data = param.data - lr * (direction + decay * param.data)
            self.moments[i] = beta2 * self.moments[i] + (1 - beta2) * grad


class Lamb:
    """The formula of LAMB, one tensor at a time."""

    def __init__(self, params, lr, weight_decay, bias_correction=True, max_coeff=10.0):
        import torch

        self.settings = (lr, weight_decay, bias_correction, max_coeff)
        self.params, self.count = params, 0
        self.moments = [(torch.zeros_like(p), torch.zeros_like(p)) for p in params]

    def step(self):
        lr, decay, corrected, most = self.settings
        self.count += 1
        one, two = (1 - 0.9**self.count, 1 - 0.999**self.count) if corrected else (1, 1)
        for i, param in enumerate(self.params):
            m, v = self.moments[i]
            m, v = 0.9 * m + 0.1 * param.grad, 0.999 * v + 0.001 * param.grad**2
            self.moments[i] = (m, v)
            direction = (m / one) / ((v / two) ** 0.5 + 1e-8) + decay * param.data
            norms = param.data.norm().item(), direction.norm().item()
            ratio = min(max(norms[0] / norms[1], 0.01), most) if all(norms) else 1.0
            param.data = param.data - lr * ratio * direction


@npu
@pytest.mark.parametrize("device", DEVICES)
def test_lion_is_its_formula(device):
    from ascend_ops import FusedLion

    for settings in (
        {},
        {"lr": 0.01, "weight_decay": 0.1},
        {"betas": (0.5, 0.7), "maximize": True},
    ):
        found = trained(FusedLion, device, **settings)
        wanted = trained(Lion, "cpu", "float64", **settings)
        for got, expected in zip(found, wanted, strict=True):
            assert_close(got, expected, "float32", 4)


@npu
@pytest.mark.parametrize("device", DEVICES)
def test_lamb_is_its_formula(device):
    from ascend_ops import FusedLamb

    for settings in (
        {"lr": 0.01, "weight_decay": 0.1},
        {"lr": 0.1, "weight_decay": 0.0, "bias_correction": False},
        {"lr": 0.1, "weight_decay": 0.0, "max_coeff": 0.5},
    ):
        found = trained(FusedLamb, device, **settings)
        wanted = trained(Lamb, "cpu", "float64", **settings)
        for got, expected in zip(found, wanted, strict=True):
            assert_close(got, expected, "float32", 8)


@npu
def test_bad_arguments_are_refused_in_words_and_nothing_is_changed():
    import torch

    from ascend_ops import FusedAdamW, FusedLamb, FusedLion

    def param(**options):
        return torch.nn.Parameter(torch.ones(3, **options))

    for cls in (FusedAdamW, FusedLion, FusedLamb):
        for settings, words in (
            ({"lr": float("nan")}, "lr must be a finite number of at least 0, got nan"),
            ({"lr": torch.ones(2)}, r"lr must be one number, got a tensor of shape \[2\]"),
            ({"weight_decay": -1.0}, "weight_decay must be a finite number of at least 0, got -1"),
            ({"betas": (1.0, 0.9)}, r"betas\[0\] must be at least 0 and less than 1, got 1.0"),
        ):
            with pytest.raises(ValueError, match=words):
                cls([param()], **settings)
        with pytest.raises(TypeError, match=r"params must have dtype float32, .*got float64"):
            cls([param(dtype=torch.float64)])
    with pytest.raises(ValueError, match=r"amsgrad must be False, got True: use torch.optim.AdamW"):
        FusedAdamW([param()], amsgrad=True)
    with pytest.raises(ValueError, match=r"0 <= min_coeff <= max_coeff, got 2.0 and 1.0"):
        FusedLamb([param()], min_coeff=2.0, max_coeff=1.0)
    with pytest.raises(ValueError, match="got an expanded tensor"):
        FusedLion([torch.nn.Parameter(torch.ones(1).expand(3))])

    first, second = param(), param()
    optimizer = FusedAdamW([first, second], lr=0.1)
    first.grad, second.grad = torch.ones(3), torch.ones(3).to_sparse()
    with pytest.raises(RuntimeError, match=r"param\.grad must be dense"):
        optimizer.step()
    second.grad = torch.ones(3)
    optimizer.param_groups[0]["lr"] = float("inf")
    with pytest.raises(ValueError, match="lr must be a finite number"):
        optimizer.step()
    assert first.tolist() == [1, 1, 1]
    optimizer.param_groups[0]["lr"] = 0.1
    optimizer.step()
    assert first[0].item() < 1

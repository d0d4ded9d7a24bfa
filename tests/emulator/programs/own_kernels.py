"""Compare this project's kernels on the emulated AI core with fp64, for odd shapes and all dtypes.

Prints a JSON object: the largest error of each case, in units of what its dtype allows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import torch

from ascend_ops.kernels.fused_optimizers import adamw_list_
from ascend_ops.kernels.moe import moe_topk_softmax, moe_topk_softmax_reference
from ascend_ops.kernels.norm import add_rms_norm_quant
from ascend_ops.kernels.rotary import partial_rotary, partial_rotary_reference
from ascend_ops.kernels.softmax import sink_softmax, sink_softmax_reference

UNITS = {torch.float32: 2e-6, torch.float16: 1e-3, torch.bfloat16: 8e-3}


def error(found: torch.Tensor, wanted: torch.Tensor, unit: float) -> float:
    """Return the largest difference, beside 1 or the value itself if that is larger."""
    if found.numel() == 0:
        return 0.0
    found, wanted = found.cpu().double(), wanted.double()
    same = (found == wanted) | (found.isnan() & wanted.isnan())
    relative = (found - wanted).abs() / wanted.abs().clamp(min=1) / unit
    return torch.where(same, 0.0, relative).max().item()


def norms(dtype: torch.dtype) -> Iterator[tuple[str, float]]:
    for shape in ((1, 1), (3, 7), (2, 3, 333), (2, 2048), (5, 2049), (2, 5001), (60, 16), (0, 4)):
        x, residual = torch.randn(shape, dtype=dtype), torch.randn(shape, dtype=dtype)
        weight = torch.randn(shape[-1], dtype=dtype)
        if shape == (3, 7):
            x[1], residual[1], x[2, 3] = 0.0, 0.0, float("nan")
        y, scale, total = add_rms_norm_quant(x.npu(), residual.npu(), weight.npu(), 1e-5)
        wanted = x + residual
        yield (
            f"sum {shape}",
            0.0 if torch.equal(total.cpu().nan_to_num(9), wanted.nan_to_num(9)) else 99.0,
        )
        wide = wanted.double()
        normed = wide / (wide.square().mean(-1, keepdim=True) + 1e-5).sqrt() * weight.double()
        step = normed.abs().amax(-1) / 127
        yield f"scale {shape}", error(scale, step, 2e-6)
        # Half a step of rounding, and what fp32 adds to it.
        off = (y.cpu() * scale.cpu().double()[..., None] - normed).abs()
        allowed = step[..., None] * 0.5001 + 1e-12
        yield (
            f"norm {shape}",
            0.0 if off.numel() == 0 else (off / allowed).nan_to_num(0).max().item(),
        )


def softmaxes(dtype: torch.dtype) -> Iterator[tuple[str, float]]:
    for shape in ((1, 1, 1), (2, 3, 5, 45), (3, 2, 2048), (2, 2, 2049), (1, 2, 4500), (0, 1, 1, 3)):
        x = torch.randn(shape, dtype=dtype) * 6
        if shape[-1] > 40:
            x[..., ::3] = -float("inf")
        sinks = torch.randn(shape[-3]) * 3
        for given in (None, sinks):
            for cap in (0.0, 5.0):
                y = sink_softmax(
                    x.npu(), None if given is None else given.npu(), scale=0.3, softcap=cap
                )
                wanted = sink_softmax_reference(x.double(), given, 0.3, cap)
                name = f"{shape} sinks {given is not None} cap {cap}"
                yield name, error(y, wanted, UNITS[dtype])
    masked = torch.full((1, 1, 1, 9), -float("inf"), dtype=dtype)
    sink = torch.zeros(1)
    yield "masked row", error(sink_softmax(masked.npu(), sink.npu()), torch.zeros(1, 1, 1, 9), 1e-9)


def rotaries(dtype: torch.dtype) -> Iterator[tuple[str, float]]:
    shapes = [(1, 1, 2, 2), (5, 3, 80, 20), (3, 5, 7, 6), (2, 4, 64, 64), (2, 130, 128, 96)]
    for tokens, heads, size, rotary in [*shapes, (1, 33, 1024, 1022), (0, 2, 8, 4)]:
        x = torch.randn(tokens, heads, size, dtype=dtype)
        cos, sin = torch.randn(2, tokens, rotary, dtype=dtype)
        y = partial_rotary(x.npu(), cos.npu(), sin.npu()).cpu()
        wanted = partial_rotary_reference(x.double(), cos.double(), sin.double())
        yield f"{(tokens, heads, size, rotary)}", error(y, wanted, UNITS[dtype])
        copied = torch.equal(y[..., rotary:], x[..., rotary:])
        yield f"{(tokens, heads, size, rotary)} rest", 0.0 if copied else 99.0


def routings(dtype: torch.dtype) -> Iterator[tuple[str, float]]:
    for tokens, experts, k in (
        (1, 1, 1),
        (100, 61, 4),
        (7, 256, 8),
        (3, 9, 9),
        (2, 2048, 3),
        (0, 3, 1),
    ):
        logits = torch.randn(tokens, experts, dtype=dtype)
        if experts == 9:
            logits[1] = 1.0  # all equal: the first ones are chosen
        for renormalize in (False, True):
            found = moe_topk_softmax(logits.npu(), k, renormalize=renormalize)
            wanted = moe_topk_softmax_reference(logits, k, renormalize)
            exact = moe_topk_softmax_reference(logits.double(), k, renormalize)
            name = f"{(tokens, experts, k)} {renormalize}"
            yield f"weights {name}", error(found[0], exact[0], 2e-6)
            for part in (1, 2):
                same = torch.equal(found[part].cpu(), wanted[part])
                yield f"{['', 'experts', 'loads'][part]} {name}", 0.0 if same else 99.0


def optimizers(dtype: torch.dtype) -> Iterator[tuple[str, float]]:
    shapes = [(1,), (3, 5), (2048,), (2049,), (7000,), (0,), *((n,) for n in range(1, 60))]
    for found_inf in (None, 0.0, 1.0):
        params = [torch.randn(shape, dtype=dtype) for shape in shapes]
        grads = [torch.randn(shape, dtype=dtype) for shape in shapes]
        averages = [torch.randn(shape) for shape in shapes]
        squares = [torch.rand(shape) for shape in shapes]
        lists = (params, grads, averages, squares)
        device = [[tensor.npu() for tensor in tensors] for tensors in lists]
        wide = [[tensor.double() for tensor in tensors] for tensors in lists]
        options = {"step": 3, "lr": 0.01, "weight_decay": 0.1, "grad_scale": 8.0}
        flag = None if found_inf is None else torch.tensor([found_inf]).npu()
        adamw_list_(*device, **options, found_inf=flag)
        if not found_inf:
            step_in_fp64(*wide, **options)
        for number, name in enumerate(("param", "grad", "exp_avg", "exp_avg_sq")):
            worst = max(
                error(found, wanted, UNITS[dtype] if number < 2 else 2e-6)
                for found, wanted in zip(device[number], wide[number], strict=True)
            )
            yield f"{name} found_inf {found_inf}", worst


def step_in_fp64(
    params: list[torch.Tensor],
    grads: list[torch.Tensor],
    averages: list[torch.Tensor],
    squares: list[torch.Tensor],
    step: int,
    lr: float,
    weight_decay: float,
    grad_scale: float,
) -> None:
    """One step of torch.optim.AdamW from these states."""
    for param, grad, average, square in zip(params, grads, averages, squares, strict=True):
        leaf = torch.nn.Parameter(param)
        leaf.grad = grad / grad_scale
        optimizer = torch.optim.AdamW([leaf], lr=lr, weight_decay=weight_decay, foreach=False)
        optimizer.state[leaf] = {
            "step": torch.tensor(float(step - 1)),
            "exp_avg": average,
            "exp_avg_sq": square,
        }
        optimizer.step()


FAMILIES = {
    "norm": norms,
    "softmax": softmaxes,
    "rotary": rotaries,
    "moe": routings,
    "fused_optimizers": optimizers,
}

if __name__ == "__main__":
    torch.manual_seed(0)
    results = {
        f"{family} {str(dtype).removeprefix('torch.')}": dict(cases(dtype))
        for family, cases in FAMILIES.items()
        for dtype in UNITS
    }
    print(json.dumps(results))  # noqa: T201

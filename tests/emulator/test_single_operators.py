"""Single operators (aclop): torch_npu's functions without an aclnn implementation."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

from ascend_ops.emulator.single_operators import ABSENT, EMULATED

npu = pytest.mark.npu
ROOT = Path(__file__).resolve().parents[2]


def test_the_table_names_the_kernels_and_no_name_is_in_both_parts():
    sources = (ROOT / "csrc" / "emulator" / "ops").rglob("*.cpp")
    kernels = set()
    for source in sources:
        kernels |= set(re.findall(r"^SINGLE_OP(?:_ATEN)?\((\w+)", source.read_text(), re.MULTILINE))
    assert kernels == EMULATED
    assert not EMULATED & set(ABSENT)


def on(device, *tensors):
    return [tensor.clone().to(device) for tensor in tensors]


def rand(*sizes):
    import torch

    return torch.rand(sizes)


def randn(*sizes):
    import torch

    return torch.randn(sizes)


def deep_norm(x, gx, beta, gamma):
    import torch

    return torch.nn.functional.layer_norm(0.3 * x + gx, gamma.shape, gamma, beta, 1e-6)


def giou(a, b):
    """Return the generalized IoU of boxes [4, n] by centre and size (arXiv 1902.09630)."""
    import torch

    low_a, high_a, low_b, high_b = (
        boxes[:2] + sign * boxes[2:] / 2 for boxes in (a, b) for sign in (-1, 1)
    )
    shared = (torch.minimum(high_a, high_b) - torch.maximum(low_a, low_b)).clamp(0).prod(0)
    hull = (torch.maximum(high_a, high_b) - torch.minimum(low_a, low_b)).prod(0)
    united = a[2:].prod(0) + b[2:].prod(0) - shared
    return shared / united - (hull - united) / hull


def cases():
    """Return per name: the inputs, torch_npu's function, and what it must return on the CPU."""
    import torch
    import torch_npu

    functional = torch.nn.functional
    x, image, volume = randn(4, 6), randn(2, 4, 7, 8), randn(2, 4, 5, 6, 7)
    kernel, kernel3d = randn(6, 2, 3, 3), randn(6, 4, 2, 3, 3)
    spatial = ([1, 2], [1, 1], [2, 1])
    return {
        "Mish": ((x,), torch_npu.npu_mish, functional.mish),
        "Swish": ((x,), torch_npu.npu_silu, functional.silu),
        "ConfusionTransposeD": (
            (x,),
            lambda t: torch_npu.npu_confusion_transpose(t, (0, 2, 1), (2, 2, 6), False),
            lambda t: t.reshape(2, 2, 6).permute(0, 2, 1),
        ),
        "BroadcastTo": (
            (randn(4, 1),),
            lambda t: torch_npu.npu_broadcast(t, (4, 3)),
            lambda t: t.expand(4, 3),
        ),
        "Pad": (
            (x,),
            lambda t: torch_npu.npu_pad(t, (1, 2, 0, 3)),
            lambda t: functional.pad(t, (0, 3, 1, 2)),
        ),
        "Slice": ((x,), lambda t: torch_npu.npu_slice(t, (1, 2), (2, 3)), lambda t: t[1:3, 2:5]),
        "SortV2": ((x,), lambda t: torch_npu.npu_sort_v2(t, 0, True), lambda t: t.sort(0, True)[0]),
        "ArgMaxWithValue": ((x,), lambda t: torch_npu.npu_max(t, 1)[0], lambda t: t.max(1)[0]),
        "BatchMatMul": (
            (randn(3, 4, 5), randn(3, 5, 2)),
            lambda a, b: torch_npu.npu_bmmV2(a, b, []),
            torch.bmm,
        ),
        "Conv2D": (
            (image, kernel),
            lambda t, w: torch_npu.npu_conv2d(t, w, None, *spatial, 2),
            lambda t, w: functional.conv2d(t, w, None, *spatial, 2),
        ),
        "Conv2DBackpropInput": (
            (image, randn(2, 6, 5, 4), kernel),
            lambda t, grad, w: torch_npu.npu_conv2d_backward(
                t, grad, w, *spatial, 2, [True, False, False]
            )[0],
            lambda t, grad, w: torch.nn.grad.conv2d_input(t.shape, w, grad, *spatial, 2),
        ),
        "Conv2DBackpropFilter": (
            (image, randn(2, 6, 5, 4), kernel),
            lambda t, grad, w: torch_npu.npu_conv2d_backward(
                t, grad, w, *spatial, 2, [False, True, False]
            )[1],
            lambda t, grad, w: torch.nn.grad.conv2d_weight(t, w.shape, grad, *spatial, 2),
        ),
        "Conv3D": (
            (volume, kernel3d, randn(6)),
            lambda t, w, b: torch_npu.npu_conv3d(t, w, b, [1, 2, 1], [1, 0, 1], [1, 1, 1], 1),
            lambda t, w, b: functional.conv3d(t, w, b, (1, 2, 1), (1, 0, 1)),
        ),
        "DeepNorm": (
            (x, randn(4, 6), randn(6), randn(6)),
            lambda *operands: torch_npu.npu_deep_norm(*operands)[2],
            deep_norm,
        ),
        "LayerNormV3": (
            (x, randn(6), randn(6)),
            lambda t, w, b: torch_npu.npu_layer_norm_eval(t, (6,), w, b, 1e-5),
            lambda t, w, b: functional.layer_norm(t, (6,), w, b, 1e-5),
        ),
        "StrideAdd": (
            (randn(2, 8, 3), randn(2, 8, 3)),
            lambda a, b: torch_npu.npu_stride_add(a, b, 0, 0, 1),
            lambda a, b: functional.pad(a + b, (0, 0, 0, 8)),
        ),
        "NPUAllocFloatStatus": (
            (x,),
            torch_npu.npu_alloc_float_status,
            lambda _: torch.zeros(8),
        ),
        "GIoU": (
            (rand(4, 9) + 0.5, rand(4, 9) + 0.5),
            lambda a, b: torch_npu.npu_giou(a, b, True, False, 0).reshape(-1),
            giou,
        ),
    }  # fmt: skip


#: Whether torch_npu has a gradient.
NAMES = {
    "Mish": True,
    "Swish": True,
    "ConfusionTransposeD": True,
    "BroadcastTo": False,
    "Pad": False,
    "Slice": False,
    "SortV2": False,
    "ArgMaxWithValue": True,
    "BatchMatMul": True,
    "Conv2D": False,
    "Conv2DBackpropInput": False,
    "Conv2DBackpropFilter": False,
    "Conv3D": False,
    "DeepNorm": True,
    "LayerNormV3": False,
    "StrideAdd": False,
    "NPUAllocFloatStatus": False,
    "GIoU": True,
}


@npu
@pytest.mark.parametrize("name", NAMES)
def test_values_and_gradients_agree_with_the_cpu(name):
    import torch

    torch.manual_seed(0)
    inputs, function, wanted = cases()[name]
    assert_agrees(function, wanted, inputs, NAMES[name])


def assert_agrees(function, wanted, inputs, differentiable):
    """Compare values, and gradients if ``differentiable``, with those of ``wanted`` on the CPU."""
    import torch

    found = []
    for device, run in (("npu", function), ("cpu", wanted)):
        leaves = [t.requires_grad_(differentiable) for t in on(device, *inputs)]
        result = run(*leaves)
        if differentiable:
            torch.manual_seed(1)
            result.backward(torch.randn(result.shape).to(device))
        grads = [leaf.grad.cpu() for leaf in leaves if leaf.grad is not None]
        found.append((result.detach().cpu(), *grads))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@npu
def test_rotated_squares_share_an_octagon():
    import torch
    import torch_npu

    square = torch.tensor([[[3.0, 4.0, 1.0, 1.0, 0.0]]]).npu()
    turned = torch.tensor([[[3.0, 4.0, 1.0, 1.0, 45.0], [9.0, 9.0, 1.0, 1.0, 10.0]]]).npu()
    octagon = 2 * (math.sqrt(2) - 1)
    wanted = torch.tensor([[[octagon / (2 - octagon), 0.0]]])
    iou = torch_npu.npu_rotated_iou(square, turned, False, 0, True, 0.0, 0.0)
    torch.testing.assert_close(iou.cpu(), wanted, rtol=1e-5, atol=1e-6)


@npu
def test_boxes_are_decoded_from_what_they_are_encoded_to():
    import torch
    import torch_npu

    anchors = torch.tensor([[2.0, 3.0, 9.0, 8.0], [0.0, 0.0, 4.0, 6.0]]).npu()
    boxes = torch.tensor([[1.0, 4.0, 7.0, 9.0], [2.0, 1.0, 5.0, 5.0]]).npu()
    scales = (0, 0, 0, 0, 0.1, 0.1, 0.2, 0.2)
    deltas = torch_npu.npu_bounding_box_encode(anchors, boxes, *scales)
    back = torch_npu.npu_bounding_box_decode(anchors, deltas, *scales, (20, 20), 0.01)
    torch.testing.assert_close(back.cpu(), boxes.cpu(), rtol=1e-4, atol=1e-4)


@npu
def test_roi_align_of_a_plane_is_the_plane_at_each_centre():
    import torch
    import torch_npu

    rows, columns = torch.meshgrid(torch.arange(8.0), torch.arange(9.0), indexing="ij")
    plane = (3 * rows + columns)[None, None]
    found = torch_npu.npu_roi_align(
        plane.npu(), torch.tensor([[0.0, 2.0, 4.0, 10.0, 12.0]]).npu(), 0.5, 2, 2, 2, 0
    )
    centres = torch.tensor([[3 * 3.0 + 2.0, 3 * 3.0 + 4.0], [3 * 5.0 + 2.0, 3 * 5.0 + 4.0]])
    torch.testing.assert_close(found.cpu()[0, 0], centres)


@npu
def test_an_attribute_that_is_not_emulated_is_refused():
    import torch
    import torch_npu

    region = torch.tensor([[0.0, 1.0, 1.0, 5.0, 5.0]]).npu()
    image = torch.ones(1, 1, 8, 8).npu()

    def call():
        torch_npu.npu_roi_align(image, region, 1.0, 2, 2, 2, 3)
        torch.npu.synchronize()

    with pytest.raises(RuntimeError, match="roi_end_mode must be 0 or 1"):
        call()


@npu
def test_signs_survive_packing_and_masks_keep_their_share():
    import torch
    import torch_npu

    torch.manual_seed(0)
    x = torch.randn(64)
    packed = torch_npu.npu_sign_bits_pack(x.npu(), 2)
    signs = torch_npu.npu_sign_bits_unpack(packed.reshape(-1), 2, torch.float32)
    torch.testing.assert_close(signs.cpu().reshape(-1), x.sign())
    kept = torch_npu.dropout_with_byte_mask(torch.ones(10000).npu(), 0.25, True).cpu()
    assert sorted(kept.unique().tolist()) == pytest.approx([0.0, 1 / 0.75])
    assert 7200 < int((kept > 0).sum()) < 7800


@npu
def test_functions_that_torch_npu_calls_if_it_compiles():
    import torch
    import torch_npu

    torch.manual_seed(0)
    torch_npu.npu.set_compile_mode(jit_compile=True)
    x = torch.randn(4, 6)
    for function in (torch.softmax, torch.log_softmax):
        torch.testing.assert_close(function(x.npu(), 1).cpu(), function(x, 1))


def ctc_loss(log_probs):
    import torch

    targets = torch.tensor([[1, 2, 2, 3], [4, 1, 0, 0]]).to(log_probs.device)
    lengths = (torch.tensor([9, 7]), torch.tensor([4, 2]))
    return torch.nn.functional.ctc_loss(log_probs, targets, *lengths, reduction="none")


@npu
@pytest.mark.parametrize("p", [0.0, 0.5, 1.0, 2.0, 3.0, math.inf])
def test_distances_that_torch_npu_computes_if_it_compiles(p, tmp_path, monkeypatch):
    import torch

    torch.manual_seed(0)
    rows = torch.randn(2, 4, 5), torch.randn(2, 3, 5)
    rows[1][0, 1] = rows[0][0, 2]  # a distance of 0 has no gradient
    assert_agrees_if_torch_npu_compiles(
        lambda a, b: torch.cdist(a, b, p), rows, {"Cdist", "CdistGrad"}, tmp_path, monkeypatch
    )


@npu
def test_a_loss_that_torch_npu_computes_if_it_compiles(tmp_path, monkeypatch):
    import torch

    torch.manual_seed(0)
    inputs = (torch.randn(9, 2, 5).log_softmax(2),)
    names = {"CTCLossV2", "CTCLossV2Grad"}
    assert_agrees_if_torch_npu_compiles(ctc_loss, inputs, names, tmp_path, monkeypatch)


def assert_agrees_if_torch_npu_compiles(function, inputs, names, folder, monkeypatch):
    """Compare values and gradients with the CPU's, and find ``names`` among the tasks."""
    import torch_npu

    monkeypatch.setenv("ASCEND_EMULATOR_TRACE_FILE", str(folder / "trace.json"))
    torch_npu.npu.set_compile_mode(jit_compile=True)
    assert_agrees(function, function, inputs, True)
    traced = (folder / "trace.json").read_text(encoding="utf-8")
    assert {name for name in names if f'"name":"{name}"' in traced} == names


@npu
def test_indices_become_rows_with_one_value():
    import torch
    import torch_npu

    index = torch.tensor([[0, 2], [3, 1]])
    found = torch_npu.npu_one_hot(index.npu().int(), -1, 3, 5, -1).cpu()
    wanted = torch.where(index[..., None] == torch.arange(3), 5.0, -1.0)
    torch.testing.assert_close(found, wanted)


@npu
@pytest.mark.parametrize("nesterov", [False, True])
def test_adam_takes_the_powers_of_its_factors(nesterov):
    import torch
    import torch_npu

    torch.manual_seed(0)
    var, m, v, grad = (torch.rand(4, 6) for _ in range(4))
    found = [each.npu() for each in (var, m, v)]
    numbers = (0.9**3, 0.99**3, 0.1, 0.9, 0.99, 1e-6)
    torch_npu.npu_apply_adam(*numbers, grad.npu(), False, nesterov, out=tuple(found))
    m = 0.9 * m + 0.1 * grad
    v = 0.99 * v + 0.01 * grad * grad
    step = 0.9 * m + 0.1 * grad if nesterov else m
    corrected = 0.1 * (1 - 0.99**3) ** 0.5 / (1 - 0.9**3)
    var = var - corrected * step / (v.sqrt() + 1e-6)
    for ours, wanted in zip(found, (var, m, v), strict=True):
        torch.testing.assert_close(ours.cpu(), wanted, rtol=1e-4, atol=1e-5)

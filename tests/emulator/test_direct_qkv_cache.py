"""A joint projection of queries, keys and values that goes into a paged cache, beside formulas."""

from __future__ import annotations

import pytest
from aclnn_call import call, check, on_npu

pytestmark = pytest.mark.npu

BATCH, TOKENS, D, HEADS, BLOCK = 2, 3, 128, (4, 2, 2), 32


class Operands:
    """Two sequences of 3 tokens with 4 query heads and 2 heads of keys and values."""

    def __init__(self, dtype="float16"):
        import torch

        torch.manual_seed(0)
        self.torch, self.dtype = torch, getattr(torch, dtype)
        rows, heads = BATCH * TOKENS, sum(HEADS)
        self.qkv = torch.randn(rows, heads * D).to(self.dtype)
        self.q_gamma, self.k_gamma = (torch.rand(D) + 0.5 for _ in range(2))
        angles = torch.rand(rows, D)
        self.cos, self.sin = angles.cos(), angles.sin()
        self.index = torch.tensor([7, -1, 40, 63, 0, 31])
        self.scale = torch.rand(2, 2, D) / 16 + 1 / 16
        self.offset = torch.randint(-9, 9, (2, 2, D)).float()

    def inputs(self):
        small = [x.to(self.dtype) for x in (self.q_gamma, self.k_gamma, self.cos, self.sin)]
        return [self.qkv, *small, self.index]

    def parts(self):
        """Return queries, keys and values in fp32, [rows, heads, D]."""
        _, q_gamma, k_gamma, cos, sin, _ = (x.float() for x in self.inputs())
        q, k, v = self.qkv.float().view(len(self.index), -1, D).split(HEADS, 1)
        cos, sin = (x.repeat_interleave(TOKENS, 0) if len(x) == BATCH else x for x in (cos, sin))

        def rotated(x, gamma):
            y = x * (x.square().mean(-1, keepdim=True) + 1e-6).rsqrt() * gamma
            turned = self.torch.cat([-y[..., D // 2 :], y[..., : D // 2]], -1)
            return y * cos[:, None] + turned * sin[:, None]

        return rotated(q, q_gamma), rotated(k, k_gamma), v

    def cache(self, quantized):
        values = self.torch.randint(-99, 99, (2 * BLOCK, 2 * D))
        return values.to(self.torch.int8 if quantized else self.dtype)

    def stored(self, plain):
        """Return a cache [slots, H] in fractions of 32 bytes."""
        width = 32 // plain.element_size()
        return plain.view(2, BLOCK, -1, width).transpose(1, 2).contiguous()

    def written(self, plain, values, scale, offset):
        after = plain.clone()
        if scale is not None:
            values = values / scale + (0 if offset is None else offset)
            values = values.round().clamp(-128, 127)
        for row, slot in enumerate(self.index.tolist()):
            if slot >= 0:
                after[slot] = values[row].flatten().to(plain.dtype)
        return after


def joint(t, k_quantized, v_quantized, *, offsets=False, outputs=True):
    """Return the inputs, the outputs and what has changed."""
    flags = (k_quantized, v_quantized)
    plain = [t.cache(flag) for flag in flags]
    scales = [t.scale[i] if flag else None for i, flag in enumerate(flags)]
    moves = [t.offset[i] if flag and offsets else None for i, flag in enumerate(flags)]
    q, k, v = t.parts()
    after = [
        t.stored(t.written(cache, x, scale, move))
        for cache, x, scale, move in zip(plain, (k, v), scales, moves, strict=True)
    ]
    flat = [x.flatten(1).to(t.dtype) for x in (q, k, v)]
    before = [t.stored(cache) for cache in plain]
    inputs = [*t.inputs(), t.torch.zeros_like(flat[0]), *before, *scales, *moves]
    numbers = [[BATCH, TOKENS, sum(HEADS), D], list(HEADS), 1e-6, "PA_NZ"]
    changed = {6: flat[0], 7: after[0], 8: after[1]}
    return [*inputs, *numbers], flat if outputs else [None] * 3, changed


def one_angle_per_sequence(t):
    t.cos, t.sin = t.cos[:BATCH].clone(), t.sin[:BATCH].clone()
    return joint(t, False, False)


CASES = {
    "aclnnQkvRmsNormRopeCache": lambda t: joint(t, False, False),
    "aclnnQkvRmsNormRopeCache:int8": lambda t: joint(t, True, True, outputs=False),
    "aclnnQkvRmsNormRopeCache:int8 keys with offsets": lambda t: joint(
        t, True, False, offsets=True
    ),
    "aclnnQkvRmsNormRopeCache:bfloat16": lambda t: joint(Operands("bfloat16"), False, True),
    "aclnnQkvRmsNormRopeCache:one angle per sequence": one_angle_per_sequence,
}
CHECKED = ("aclnnQkvRmsNormRopeCache",)


@pytest.mark.parametrize("name", CASES)
def test_a_projection_agrees_with_its_formula(name):
    check(name.partition(":")[0], *CASES[name](Operands()))


def test_torch_npu_writes_the_same_caches():
    import torch_npu

    t = Operands()
    inputs, outputs, changed = joint(t, True, True)
    arguments = list(map(on_npu, inputs))
    found = torch_npu.npu_qkv_rms_norm_rope_cache(
        *arguments[:9],
        *([BATCH, TOKENS, sum(HEADS), D], HEADS),
        k_scale=arguments[9],
        v_scale=arguments[10],
        is_output_qkv=True,
    )
    for got, wanted in zip(found, outputs, strict=True):
        t.torch.testing.assert_close(got.cpu(), wanted, rtol=1e-3, atol=1e-3)
    for place, wanted in changed.items():
        t.torch.testing.assert_close(arguments[place].cpu(), wanted, rtol=1e-3, atol=1e-3)


def replaced(inputs, place, value):
    return [*inputs[:place], value, *inputs[place + 1 :]]


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (16, "Norm", "cacheMode must be PA_NZ"),
        (13, [2, 3, 8, 64], "must end in 128"),
        (14, [4, 1, 3], "as many keys as values"),
        (9, None, "kScale must be given if its cache is int8"),
        (13, [2, 3, 9, 128], "add up to 9"),
    ],
)
def test_what_a_device_does_not_take_is_refused(place, value, message):
    inputs, outputs, _ = joint(Operands(), True, True)
    with pytest.raises(RuntimeError, match=message):
        check("aclnnQkvRmsNormRopeCache", replaced(inputs, place, value), outputs)


@pytest.mark.parametrize("slots", [[0, 1, 1, 2, 3, 4], [0, 1, 2, 3, 4, 64]])
def test_a_slot_that_is_taken_or_missing_is_an_error(slots):
    t = Operands()
    inputs, outputs, _ = joint(t, False, False)
    arguments = replaced(inputs, 5, t.torch.tensor(slots))
    with pytest.raises(RuntimeError):
        call("aclnnQkvRmsNormRopeCache", *map(on_npu, [*arguments, *outputs]))

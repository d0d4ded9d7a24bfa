"""flash_attention_varlen: each sequence alone against loops in fp64."""

from __future__ import annotations

import pytest
from attention_reference import attention, everything
from op_checks import assert_close, assert_compiles, value_and_gradients

npu = pytest.mark.npu
DEVICES = ["cpu", "npu"]
QUERY_PLACES, KEY_PLACES = [0, 3, 4, 9], [0, 5, 6, 11]


def tokens(seed=0):
    """Return query, key and value as ``[T, N, D]`` in fp64."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    shapes = ((9, 4, 8), (11, 2, 8), (11, 2, 6))
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]


def by_sequence(query, key, value, sees, **options):
    """Compute each sequence by loops; the shift that ``sees`` gets is keys - queries."""
    import torch

    outputs = []
    for i in range(len(QUERY_PLACES) - 1):
        q, k, v = (
            x[places[i] : places[i + 1]].transpose(0, 1)[None]
            for x, places in ((query, QUERY_PLACES), (key, KEY_PLACES), (value, KEY_PLACES))
        )
        shift = k.shape[2] - q.shape[2]
        output = attention(q, k, v, lambda b, i, j, s=shift: sees(i, j, s), **options)
        outputs.append(output[0].transpose(0, 1))
    return torch.cat(outputs)


@npu
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_each_sequence_sees_only_itself(dtype, device):
    import torch

    from ascend_ops import flash_attention_varlen

    kind = getattr(torch, dtype)
    rounded = [x.to(kind).double() for x in tokens()]
    for options, sees in (
        ({}, everything),
        ({"is_causal": True}, lambda i, j, shift: j <= i + shift),
        (
            {"is_causal": True, "causal_alignment": "upper_left"},
            lambda i, j, shift: j <= i,
        ),
        ({"window": (1, 0)}, lambda i, j, shift: -1 <= j - i - shift <= 0),
    ):
        found = value_and_gradients(
            lambda q, k, v, o=options: flash_attention_varlen(
                q, k, v, QUERY_PLACES, KEY_PLACES, **o
            ),
            [x.to(device, kind) for x in rounded],
        )
        expected = value_and_gradients(lambda q, k, v, s=sees: by_sequence(q, k, v, s), rounded)
        for got, target in zip(found, expected, strict=True):
            assert_close(got, target, dtype, 8)


@npu
@pytest.mark.parametrize("device", DEVICES)
def test_dropout_is_per_sequence_and_repeats_with_the_seed(device):
    import torch

    from ascend_ops import flash_attention_varlen

    inputs = [x.float().to(device) for x in tokens()]
    found = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        found.append(
            value_and_gradients(
                lambda q, k, v: flash_attention_varlen(
                    q, k, v, QUERY_PLACES, KEY_PLACES, dropout_p=0.5
                ),
                inputs,
            )
        )
    assert all(a.equal(b) for a, b in zip(found[0], found[1], strict=True))
    assert not found[0][0].equal(found[2][0])
    plain = value_and_gradients(
        lambda q, k, v: flash_attention_varlen(q, k, v, QUERY_PLACES, KEY_PLACES),
        [x.cpu().double() for x in inputs],
    )
    # The second sequence has one query and one key: its value is doubled or dropped.
    row, full = found[0][0].cpu()[3], plain[0][3].float()
    for head in range(4):
        kept = torch.allclose(row[head], 2 * full[head], atol=1e-5)
        assert kept or (row[head] == 0).all()


@npu
def test_lengths_come_as_integers_or_tensors_and_the_devices_agree_on_dropout_bits():
    import torch

    from ascend_ops import flash_attention_varlen

    inputs = [x.float().npu() for x in tokens()]
    expected = flash_attention_varlen(*inputs, QUERY_PLACES, KEY_PLACES)
    for made in (
        lambda places: torch.tensor(places),
        lambda places: torch.tensor(places, dtype=torch.int32).npu(),
        tuple,
    ):
        found = flash_attention_varlen(*inputs, made(QUERY_PLACES), made(KEY_PLACES))
        assert found.equal(expected)


@npu
def test_opcheck_gradcheck_and_compile():
    import torch

    from ascend_ops import flash_attention_varlen
    from ascend_ops.attention import varlen

    inputs = [x.requires_grad_() for x in tokens()]

    def call(q, k, v):
        return flash_attention_varlen(q, k, v, QUERY_PLACES, KEY_PLACES, is_causal=True)

    torch.autograd.gradcheck(call, inputs)
    rest = (None, QUERY_PLACES[1:], KEY_PLACES[1:], 0.5, 1.0, 0, 0, 0)
    overload = varlen._varlen_op.overload
    torch.library.opcheck(overload, (*inputs, *rest))
    moved = [x.detach().float().npu() for x in inputs]
    tests = ("test_schema", "test_autograd_registration", "test_faketensor")
    torch.library.opcheck(overload, (*moved, *rest), test_utils=tests)
    assert_compiles(lambda q, k, v: call(q.sin(), k, v), [x.detach().float() for x in inputs])


@npu
def test_bad_lengths_are_refused():
    import torch

    from ascend_ops import flash_attention_varlen

    q, k, v = (x.float() for x in tokens())
    for places, error, words in (
        (
            [0, 3, 4, 8],
            ValueError,
            "cu_seqlens_q must begin with 0, never decrease, and end with .* 9",
        ),
        ([1, 3, 4, 9], ValueError, "cu_seqlens_q must begin with 0"),
        ([0, 4, 3, 9], ValueError, "never decrease, .* got \\[0, 4, 3, 9\\]"),
        ([0, 9], ValueError, "cu_seqlens_k must have as many sequences"),
        (
            torch.tensor([0.0, 9.0]),
            TypeError,
            "cu_seqlens_q must be int32 or int64 with one dimension",
        ),
    ):
        with pytest.raises(error, match=words):
            flash_attention_varlen(q, k, v, places, KEY_PLACES)
    with pytest.raises(ValueError, match="value must have key's tokens and heads"):
        flash_attention_varlen(q, k, v[:-1], QUERY_PLACES, KEY_PLACES)
    with pytest.raises(ValueError, match="window must be None if is_causal"):
        flash_attention_varlen(q, k, v, QUERY_PLACES, KEY_PLACES, window=(1, 0), is_causal=True)


@npu
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("query_places", "key_places"),
    [
        ([0, 0, 4, 4, 9, 9], [0, 3, 3, 3, 8, 11]),
        ([0, 2, 2, 9], [0, 2, 2, 11]),
        ([0, 0, 9, 9], [0, 0, 11, 11]),
        ([0, 4, 9], [0, 0, 11]),
        ([0, 9], [0, 0]),
        ([0, 0], [0, 11]),
        ([0, 0], [0, 0]),
    ],
)
def test_sequences_may_be_empty(query_places, key_places, device):
    """As in torch's attention of each sequence; queries that see no key get 0."""
    import torch

    from ascend_ops import flash_attention_varlen

    counts = (query_places[-1], key_places[-1], key_places[-1])
    inputs = [x[:n].float() for x, n in zip(tokens(), counts, strict=True)]

    def one_by_one(query, key, value):
        parts = [x[:0].reshape(0, 4, 6) for x in (query, key, value)]
        for i in range(len(query_places) - 1):
            q = query[query_places[i] : query_places[i + 1]].transpose(0, 1)
            k, v = (
                x[key_places[i] : key_places[i + 1]].transpose(0, 1).repeat_interleave(2, 0)
                for x in (key, value)
            )
            output = torch.nn.functional.scaled_dot_product_attention(q, k, v)
            parts.append(output.nan_to_num().transpose(0, 1))
        return torch.cat(parts)

    found = value_and_gradients(
        lambda *x: flash_attention_varlen(*x, query_places, key_places),
        [x.to(device) for x in inputs],
    )
    expected = value_and_gradients(one_by_one, inputs)
    for got, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(got.cpu(), wanted, rtol=1e-5, atol=1e-5)


def test_dropout_of_empty_sequences_is_that_of_the_others():
    import torch

    from ascend_ops import flash_attention_varlen

    inputs = tokens()
    found = []
    for q, k in (([0, 0, 4, 9], [0, 0, 6, 11]), ([0, 4, 9], [0, 6, 11])):
        torch.manual_seed(0)
        found.append(flash_attention_varlen(*inputs, q, k, dropout_p=0.5))
    assert torch.equal(*found)


def test_sparse_attention_refuses_an_empty_sequence():
    import torch

    from ascend_ops import nsa_compress_attention

    query, key, value = torch.randn(3, 9, 2, 8)
    with pytest.raises(ValueError, match=r"must give each sequence at least one token.*sequence 1"):
        nsa_compress_attention(query, key, value, [0, 9, 9], [0, 9, 9], select_block_count=1)

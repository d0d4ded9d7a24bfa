"""The functions of DeepSpeed's module ``transformer_inference`` against formulas in fp64."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from ascend_ops.integrations.deepspeed import inference
from ascend_ops.integrations.deepspeed.inference import products

pytestmark = pytest.mark.filterwarnings("error::ascend_ops.dispatch.npu_op.FallbackWarning")

Tensor = torch.Tensor
F = torch.nn.functional

_SUFFIX = {torch.float32: "fp32", torch.float16: "fp16", torch.bfloat16: "bf16"}
_TOLERANCE = {torch.float32: 2e-5, torch.float16: 4e-3, torch.bfloat16: 3e-2}
_DEVICES = ("cpu", "npu")
GELU, RELU, GATED_GELU, GATED_SILU = 1, 2, 3, 4


class Caller:
    """Calls functions with tensors in one dtype on one device, and formulas with their values."""

    def __init__(self, dtype: torch.dtype, device: str) -> None:
        self.dtype, self.device = dtype, device
        self.generator = torch.Generator().manual_seed(0)

    def random(self, *shape: int, scale: float = 1.0) -> Tensor:
        made = torch.randn(*shape, generator=self.generator) * scale
        return made.to(self.dtype).to(self.device)

    def weight(self, transpose: bool, inputs: int, outputs: int) -> tuple[Tensor, Tensor]:
        """Return a weight in either layout, and ``[in, out]`` for the formula."""
        made = self.random(outputs, inputs, scale=0.1)
        return (made if transpose else made.t().contiguous()), wide(made).t()

    def function(self, name: str) -> Callable[..., Any]:
        served = inference.functions()
        return served.get(f"{name}_{_SUFFIX[self.dtype]}") or served[name]

    def check(self, found: Any, wanted: Any, factor: float = 1.0) -> None:
        tolerance = factor * _TOLERANCE[self.dtype]
        found, wanted = (x if isinstance(x, list) else [x] for x in (found, wanted))
        for one, other in zip(found, wanted, strict=True):
            assert one.dtype == self.dtype
            torch.testing.assert_close(
                one.cpu().double(), other.cpu().double(), rtol=tolerance, atol=tolerance
            )


def wide(*tensors: Tensor) -> Any:
    made = [x.detach().cpu().double().clone() for x in tensors]
    return made[0] if len(made) == 1 else made


def callers() -> Iterator[Caller]:
    for dtype in _SUFFIX:
        for device in _DEVICES:
            yield Caller(dtype, device)


def norm(x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
    return F.layer_norm(x, gamma.shape, gamma, beta, 1e-5)


def rms(x: Tensor, gamma: Tensor) -> Tensor:
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-5) * gamma


@pytest.mark.npu
def test_norms() -> None:
    for use in callers():
        x, residual = use.random(2, 3, 64), use.random(2, 3, 64)
        bias, gamma, beta = use.random(64), use.random(64), use.random(64)
        wx, wr, wb, wg, wbeta = wide(x, residual, bias, gamma, beta)
        use.check(use.function("layer_norm")(x, gamma, beta, 1e-5), norm(wx, wg, wbeta))
        total = wx + wb + wr
        arguments = (x, bias, residual, gamma, beta, 1e-5)
        use.check(use.function("_layer_norm_residual")(*arguments), norm(total, wg, wbeta))
        both = use.function("layer_norm_residual_store_pre_ln_res")(*arguments)
        use.check(both, [norm(total, wg, wbeta), total])
        use.check(use.function("rms_norm")(x, gamma, 1e-5), rms(wx, wg))
        use.check(
            use.function("pre_rms_norm")(x, residual, gamma, 1e-5), [rms(wx + wr, wg), wx + wr]
        )
        narrow = use.function("rms_norm")(x.float(), gamma, 1e-5)
        use.check(narrow, rms(wx, wg))  # in gamma's dtype, as in DeepSpeed's fallback
        use.check(use.function("layer_norm")(x.float(), gamma, beta, 1e-5), norm(wx, wg, wbeta))


@pytest.mark.npu
def test_activations() -> None:
    for use in callers():
        x, bias = use.random(2, 3, 64), use.random(64)
        total = wide(x) + wide(bias)
        use.check(use.function("bias_add")(x, bias), total)
        use.check(use.function("bias_relu")(x, bias), total.relu())
        use.check(use.function("bias_gelu")(x, bias), F.gelu(total, approximate="tanh"))
        linear, gate = total.chunk(2, -1)
        of_gate = {GATED_GELU: F.gelu, GATED_SILU: F.silu}
        for activation, function in of_gate.items():
            found = use.function("gated_activation")(x, bias, activation)
            use.check(found, linear * function(gate), 2)
    with pytest.raises(NotImplementedError, match=r"gated_activation must be activation 3 .*got 1"):
        inference.functions()["gated_activation"](x, bias, GELU)


@pytest.mark.npu
def test_residuals() -> None:
    for use in callers():
        hidden, residual, attention = (use.random(2, 3, 64) for _ in range(3))
        bias, final = use.random(64), use.random(64)
        h, r, a, b, f = wide(hidden, residual, attention, bias, final)
        for after, with_bias, before in ((1, 1, 1), (1, 1, 0), (0, 1, 1), (0, 0, 1)):
            if after:
                wanted = (r + a + b + f) / 2 + h if before else r + h + f
            else:
                wanted = h + a + (r + f + (b if with_bias else 0)) / 2
            given = residual.clone()
            found = use.function("residual_add_bias")(
                hidden, given, attention, bias, final, 2, bool(after), bool(with_bias), bool(before)
            )
            assert found is given
            use.check(given, wanted)
        use.check(use.function("_vector_add")(hidden, residual, 0.5), 0.5 * h + r)
        use.check(use.function("bias_residual")(hidden, residual, bias), h + r + b)
        none = torch.empty(1)
        use.check(use.function("bias_residual")(hidden, residual, none), h + r)
        coef = use.random(1, 128, 1)
        first, second = wide(coef).reshape(2, 64)
        wanted = r * first + h * second
        assert use.function("moe_res_matmul")(residual, coef, hidden) is hidden
        use.check(hidden, wanted, 2)
        dispatch, tokens = use.random(5, 2, 3), use.random(5, 16)
        wanted = torch.einsum("sec,sm->ecm", *wide(dispatch, tokens))
        use.check(use.function("einsum_sec_sm_ecm")(dispatch, tokens), wanted, 4)
        with pytest.raises(ValueError, match="coef must have 2 values per channel of output, 128"):
            use.function("moe_res_matmul")(residual, coef[:, :7], hidden)


def activated(x: Tensor, activation: int) -> Tensor:
    if activation in (GELU, RELU):
        return F.gelu(x, approximate="tanh") if activation == GELU else F.relu(x)
    linear, gate = x.chunk(2, -1)
    return linear * (F.gelu if activation == GATED_GELU else F.silu)(gate)


@pytest.mark.npu
@pytest.mark.parametrize("transpose", [False, True])
def test_products(transpose: bool) -> None:
    for use in callers():
        x, residual = use.random(2, 3, 64), use.random(2, 3, 64)
        gamma, beta, input_bias = use.random(64), use.random(64), use.random(64)
        scale = torch.empty(1)
        wx, wr, wg, wbeta, winput = wide(x, residual, gamma, beta, input_bias)
        qkv, wide_qkv = use.weight(transpose, 64, 96)
        bias = use.random(96)
        found = use.function("qkv_gemm")(
            x, qkv, scale, bias, gamma, beta, 1e-5, True, False, transpose
        )
        normed = norm(wx, wg, wbeta)
        use.check(found, [normed @ wide_qkv + wide(bias), normed], 4)
        found = use.function("rms_qkv_gemm")(x, qkv, scale, gamma, 1e-5, False, transpose)
        use.check(found, [rms(wx, wg) @ wide_qkv, rms(wx, wg)], 4)
        found = use.function("vector_matmul")(x, qkv, False, scale, False, transpose)
        use.check(found, wx @ wide_qkv, 4)
        found = use.function("linear_layer")(x, qkv, bias, True, False, 4, transpose, 1e4)
        use.check(found, wx @ wide_qkv + wide(bias), 4)
        for activation in (GELU, RELU, GATED_GELU, GATED_SILU):
            factor = 2 if activation in (GATED_GELU, GATED_SILU) else 1
            first, wide_first = use.weight(transpose, 64, 32 * factor)
            second, wide_second = use.weight(transpose, 32, 64)
            inner_bias = use.random(32 * factor)
            found = use.function("rms_mlp_gemm")(
                x, residual, first, second, gamma, 1e-5, scale, scale, False, activation, transpose
            )
            wanted = activated(rms(wx + wr, wg) @ wide_first, activation) @ wide_second
            use.check(found, [wanted, wx + wr], 4)
            if factor == 2:
                continue
            for after in (True, False):
                normed = norm(wx + wr + winput if after else wr, wg, wbeta)
                found = use.function("mlp_gemm")(
                    x, residual, input_bias, first, second, inner_bias, gamma, beta, 1e-5, True,
                    after, scale, scale, False, activation, transpose,
                )  # fmt: skip
                wanted = activated(normed @ wide_first + wide(inner_bias), activation) @ wide_second
                use.check(found, [wanted, normed], 4)
            found = use.function("fused_gemm_gelu")(
                x, first, scale, inner_bias, second, scale, False, transpose
            )
            inner = F.gelu(wx @ wide_first + wide(inner_bias), approximate="tanh")
            use.check(found, inner @ wide_second, 4)
        torch.testing.assert_close(wide(residual), wr, rtol=0, atol=0)  # is not changed
        narrow = use.weight(transpose, 64, 32)[0]
        with pytest.raises(ValueError, match=r"weight_interm must have 64 outputs .*, got 32"):
            use.function("rms_mlp_gemm")(
                x, residual, narrow, second, gamma, 1e-5, scale, scale, False, GATED_SILU, transpose
            )


@pytest.mark.npu
def test_int8_weights_are_dequantized_by_group() -> None:
    for use in callers():
        x = use.random(2, 3, 64)
        weight = torch.randint(-127, 128, (96, 64), dtype=torch.int8, device=use.device)
        scales = torch.rand(12, 3, device=use.device) * 0.01  # DeepSpeed's GroupQuantizer: 3 sets
        groups = wide(scales).reshape(-1)[:12]
        matrix = (wide(weight).reshape(12, -1) * groups[:, None]).reshape(96, 64)
        for name in ("vector_matmul", "vector_matmul_int8"):
            found = use.function(name)(x, weight, False, scales, True, False)
            use.check(found, wide(x) @ matrix.t(), 8)
    with pytest.raises(ValueError, match="weight must be int8 with one scale per group"):
        products.dequantized(weight.half(), scales, torch.float16)


@pytest.mark.npu
def test_padding_of_heads() -> None:
    for use in callers():
        query, key, value = use.random(2, 5, 80), use.random(2, 7, 80), use.random(2, 7, 80)
        pad = use.function("pad_transform")
        plain = pad(query, key, value, 2, False)
        use.check(plain[0], wide(query).reshape(2, 5, 2, 40).transpose(1, 2))
        padded = pad(query, key, value, 2, True)
        shapes = [list(x.shape) for x in padded]
        assert shapes == [[2, 2, 5, 64], [2, 2, 128, 64], [2, 2, 128, 64]]
        torch.testing.assert_close(padded[1][:, :, :7, :40], plain[1])
        for one, other in zip(plain, padded, strict=True):
            assert wide(one).sum().isclose(wide(other).sum())
        weight, bias = use.random(80, 240, scale=0.1), use.random(240)
        found = use.function("linear_layer")(query, weight, bias, True, True, 2, False, 1e4)
        assert found.shape == (3, 2, 2, 5, 64)
        flat = (wide(query) @ wide(weight) + wide(bias)).reshape(2, 5, 3, 2, 40)
        use.check(found[..., :40], flat.permute(2, 0, 3, 1, 4), 4)
        assert not found[..., 40:].any()
    with pytest.raises(NotImplementedError, match=r"key must have at most 128 tokens .*got 129"):
        pad(query, *(use.random(2, 129, 80) for _ in range(2)), 2, True)


def places(queries: int, keys: int) -> tuple[Tensor, Tensor]:
    key = torch.arange(keys)
    return torch.arange(keys - queries, keys)[:, None], key


@pytest.mark.npu
def test_softmax() -> None:
    none = torch.empty(1)
    for use in callers():
        scores = use.random(2, 4, 5, 5)
        softmax = use.function("softmax")
        alibi = use.random(8, 1, 5)
        mask = torch.zeros(2, 5).masked_fill_(torch.tensor([[1, 1, 0, 0, 0], [0] * 5]).bool(), -1e4)
        mask = mask.to(use.dtype).to(use.device)
        query, key = places(5, 5)
        given = wide(scores) * 0.5
        with_mask = given + wide(mask)[:, None, None]
        rest = (False, 2, False, 0.5, 0, 1)
        found = softmax(scores, none, none, False, False, *rest)
        use.check(found, given.softmax(-1))
        found = softmax(scores, mask, None, True, False, *rest)
        use.check(found[1], with_mask.masked_fill(key > query, -1e30).softmax(-1)[1])
        found = softmax(scores, mask[:, None, None], alibi, False, False, *rest)
        use.check(found, (with_mask + wide(alibi).reshape(2, 4, 1, 5)).softmax(-1))
        found = softmax(scores, mask[:, None, None] == 0, none, False, False, *rest)
        use.check(found, with_mask.softmax(-1))
        found = softmax(scores, none, none, True, False, True, 2, False, 0.5, 0, 1)
        hidden = (key > query) | (key <= query - 2)
        use.check(found, given.masked_fill(hidden, -1e30).softmax(-1))
        whole = use.random(8, 1, 5)  # of both ranks' heads, without a batch dimension
        found = softmax(scores, none, whole, False, False, False, 2, False, 0.5, 4, 2)
        use.check(found, (given + wide(whole)[4:]).softmax(-1))
        found = softmax(scores[0, 0], none, none, False, False, *rest)
        use.check(found, given[0, 0].softmax(-1))
    with pytest.raises(ValueError, match=r"attn_scores must be \[B, N, S, L\]"):
        softmax(scores[0, 0], none, none, True, False, *rest)
    with pytest.raises(ValueError, match="head_offset 3 on must be 4"):
        softmax(scores, none, alibi[:4], False, False, False, 2, False, 0.5, 3, 1)


def test_what_is_not_served_raises_its_name() -> None:
    with pytest.raises(inference.NotServedError, match="softmax_context_int8 is not implemented"):
        inference.missing("softmax_context_int8")
    assert issubclass(inference.NotServedError, NotImplementedError)
    assert issubclass(inference.NotServedError, AttributeError)


def test_which_gelu_is_exact() -> None:
    """The tolerances above are too wide to tell the two apart in 16 bits."""
    x = torch.linspace(-3, 3, 64).reshape(1, 1, 64)
    eye, none = torch.eye(64), torch.empty(1)
    served = inference.functions()
    gemm = served["fused_gemm_gelu_fp32"](x, eye, none, torch.zeros(64), eye, none, False, False)
    torch.testing.assert_close(gemm, F.gelu(x, approximate="tanh"), rtol=0, atol=1e-6)
    assert (gemm - F.gelu(x)).abs().max() > 1e-4
    ones = torch.cat((torch.ones_like(x), x), -1)
    gated = served["gated_activation"](ones, torch.zeros(128), GATED_GELU)
    torch.testing.assert_close(gated, F.gelu(x), rtol=0, atol=1e-6)

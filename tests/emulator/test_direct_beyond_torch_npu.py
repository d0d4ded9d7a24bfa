"""Functions that CANN documents and torch_npu does not call, called by name."""

from __future__ import annotations

import pytest
from aclnn_call import Float, Integer, Ints, Scalar, check

pytestmark = pytest.mark.npu


class Operands:
    """Inputs on the CPU. No value of ``y`` is near 0; ``square`` has a positive determinant."""

    def __init__(self):
        import torch

        torch.manual_seed(0)
        self.torch, self.f = torch, torch.nn.functional
        self.x, self.y = torch.randn(4, 6) * 3, torch.randn(4, 6)
        self.y = self.y + self.y.sign()
        self.positive = self.y.abs()
        self.xs, self.ys = [self.x, self.x[0] + 1], [self.y, self.y[1]]
        self.pairs = list(zip(self.xs, self.ys, strict=True))
        self.square = torch.randn(4, 4) + 5 * torch.eye(4)
        self.batches = torch.randn(3, 4, 2), torch.randn(3, 2, 6)
        self.rows = torch.tensor([2, 0, 2])
        self.updates = self.y[:3]
        self.mask = torch.tensor([[3, 5], [6, 12]], dtype=torch.int32)

    def one(self, value):
        return self.torch.tensor([float(value)])

    def ints(self, *values):
        return self.torch.tensor(values, dtype=self.torch.int32)

    def in_rows(self, combine):
        """Return x whose row rows[i] was combined with updates[i], one after another."""
        out = self.x.clone()
        for row, update in zip(self.rows.tolist(), self.updates, strict=True):
            out[row] = combine(out[row], update)
        return out

    def autograd(self, function):
        x = self.x.clone().requires_grad_()
        function(x).backward(self.y)
        return x.grad


#: The inputs of a function and its expected outputs, which follow the inputs.
CASES = {
    "aclnnAddN": lambda t: ([[t.x, t.y, t.x]], [2 * t.x + t.y]),
    "aclnnMaxN": lambda t: ([[t.x, t.y, -t.x]], [t.x.maximum(t.y).maximum(-t.x)]),
    "aclnnMinN": lambda t: ([[t.x, t.y, -t.x]], [t.x.minimum(t.y).minimum(-t.x)]),
    "aclnnMaxV2": lambda t: ([t.x, Ints([]), False, False], [t.x.max()]),
    "aclnnMeanV2": lambda t: ([t.x, [1], True, False], [t.x.mean(1, keepdim=True)]),
    "aclnnReduceLogSum": lambda t: ([t.positive, [0], False, False], [t.positive.sum(0).log()]),
    "aclnnCumsumV2": lambda t: (
        [t.x, 1, True, True],
        [t.x.flip(1).cumsum(1).flip(1) - t.x],
    ),
    "aclnnArgsort": lambda t: ([t.x, 1, True], [t.x.argsort(1, descending=True)]),
    "aclnnExpand": lambda t: ([t.x[:1], [4, 6]], [t.x[:1].expand(4, 6).contiguous()]),
    "aclnnFlatten": lambda t: ([t.batches[0], 2], [t.batches[0].reshape(12, 2)]),
    "aclnnSliceV2": lambda t: (
        [t.x, [1, 0], [4, 6], [0, 1], [1, 2]],
        [t.x[1:4, ::2].contiguous()],
    ),
    "aclnnSlice": lambda t: ([t.x, 1, 1, 6, 2], [t.x[:, 1:6:2].contiguous()]),
    "aclnnSplitTensor": lambda t: (
        [t.x, 4, 1],
        [[t.x[:, :4].contiguous(), t.x[:, 4:].contiguous()]],
    ),
    "aclnnGatherV2": lambda t: ([t.x, 0, t.rows.reshape(1, 3)], [t.x[t.rows].unsqueeze(0)]),
    "aclnnSeluBackward": lambda t: ([t.y, t.f.selu(t.x)], [t.autograd(t.f.selu)]),
    "aclnnShrink": lambda t: (
        [t.x, Scalar(1), Scalar(0.5)],
        [(t.x - 0.5) * (t.x > 1) + (t.x + 0.5) * (t.x < -1)],
    ),
    "aclnnSquaredRelu": lambda t: ([t.x], [t.x.relu() ** 2]),
    "aclnnSwish": lambda t: ([t.x, Scalar(2)], [t.x * (2 * t.x).sigmoid()]),
    "aclnnSwishBackward": lambda t: (
        [t.y, t.x, Scalar(2)],
        [t.autograd(lambda x: x * (2 * x).sigmoid())],
    ),
    "aclnnScatterNd": lambda t: (
        [t.x, t.torch.tensor([[1, 2], [3, 0]]), t.torch.tensor([10.0, 20.0])],
        [
            t.x.index_put(
                (t.torch.tensor([1, 3]), t.torch.tensor([2, 0])), t.torch.tensor([10.0, 20.0])
            )
        ],
    ),
    "aclnnDiag": lambda t: ([t.square, 1], [t.square.diag(1)]),
    "aclnnDiagFlat": lambda t: ([t.x[0], 0], [t.x[0].diagflat()]),
    "aclnnDigamma": lambda t: ([t.positive], [t.positive.digamma()]),
    "aclnnLgamma": lambda t: ([t.positive], [t.positive.lgamma()]),
    "aclnnGer": lambda t: ([t.x[0], t.y[1]], [t.x[0].outer(t.y[1])]),
    "aclnnHeaviside": lambda t: ([t.x, t.y], [t.x.heaviside(t.y)]),
    "aclnnIsInf": lambda t: ([t.x / t.x.relu()], [(t.x / t.x.relu()).isinf()]),
    "aclnnLogdet": lambda t: ([t.square], [t.square.logdet()]),
    "aclnnMseLossOut": lambda t: ([t.x, t.y, 1], [t.f.mse_loss(t.x, t.y)]),
    "aclnnPermute": lambda t: (
        [t.batches[0], [2, 0, 1]],
        [t.batches[0].permute(2, 0, 1).contiguous()],
    ),
    "aclnnReal": lambda t: ([t.x], [t.x]),
    "aclnnSelu": lambda t: ([t.x], [t.f.selu(t.x)]),
    "aclnnSquare": lambda t: ([t.x], [t.x**2]),
    "aclnnVar": lambda t: ([t.x, [1], False, True], [t.x.var(1, correction=0, keepdim=True)]),
    "aclnnXlog1py": lambda t: ([t.x, t.positive], [t.x * t.positive.log1p()]),
    "aclnnEinsum": lambda t: (
        [list(t.batches), "bij,bjk->ik"],
        [(t.batches[0] @ t.batches[1]).sum(0)],
    ),
    "aclnnForeachAddcmulList": lambda t: (
        [t.xs, t.ys, t.ys, t.torch.tensor([2.0, 5.0])],
        [[x + k * y * y for k, (x, y) in zip((2, 5), t.pairs, strict=True)]],
    ),
    "aclnnForeachAddcdivList": lambda t: (
        [t.xs, t.xs, t.ys, t.torch.tensor([2.0, 5.0])],
        [[x + k * x / y for k, (x, y) in zip((2, 5), t.pairs, strict=True)]],
    ),
}

#: The inputs of a function, and what the first of them is after the call.
IN_PLACE = {
    "aclnnInplaceAddbmm": lambda t: (
        [t.x, *t.batches, Scalar(2), Scalar(3), 0],
        2 * t.x + 3 * (t.batches[0] @ t.batches[1]).sum(0),
    ),
    "aclnnInplaceBaddbmm": lambda t: (
        [t.x.expand(3, 4, 6).contiguous(), *t.batches, Scalar(2), Scalar(3), 0],
        2 * t.x + 3 * (t.batches[0] @ t.batches[1]),
    ),
    "aclnnInplaceBitwiseOrTensor": lambda t: ([t.mask, t.mask.T.contiguous()], t.mask | t.mask.T),
    "aclnnInplaceBitwiseOrScalar": lambda t: ([t.mask, Integer(9)], t.mask | 9),
    "aclnnInplaceNeg": lambda t: ([t.x], -t.x),
    "aclnnInplaceRound": lambda t: ([t.x], t.x.round()),
    "aclnnInplaceTrunc": lambda t: ([t.x], t.x.trunc()),
    "aclnnInplaceSelu": lambda t: ([t.x], t.f.selu(t.x)),
    "aclnnInplaceXLogYTensor": lambda t: ([t.x, t.positive], t.x * t.positive.log()),
    "aclnnInplaceCumprod": lambda t: ([t.x, Scalar(1)], t.x.cumprod(1)),
    "aclnnScatterMul": lambda t: (
        [t.x, t.rows, t.updates, False],
        t.in_rows(lambda row, update: row * update),
    ),
    "aclnnScatterDiv": lambda t: (
        [t.x, t.rows, t.updates, False],
        t.in_rows(lambda row, update: row / update),
    ),
    "aclnnScatterMax": lambda t: (
        [t.x, t.rows, t.updates, False],
        t.in_rows(lambda row, update: row.maximum(update)),
    ),
    "aclnnScatterMin": lambda t: (
        [t.x, t.rows, t.updates, False],
        t.in_rows(lambda row, update: row.minimum(update)),
    ),
    "aclnnForeachACosInplace": lambda t: (
        [[x.tanh() for x in t.xs]],
        [x.tanh().acos() for x in t.xs],
    ),
    "aclnnForeachLogInplace": lambda t: (
        [[x.abs() for x in t.xs]],
        [x.abs().log() for x in t.xs],
    ),
    "aclnnForeachAddListInplace": lambda t: (
        [t.xs, t.ys, t.one(2)],
        [x + 2 * y for x, y in t.pairs],
    ),
    "aclnnForeachSubListInplace": lambda t: (
        [t.xs, t.ys, t.one(2)],
        [x - 2 * y for x, y in t.pairs],
    ),
    "aclnnForeachMulListInplace": lambda t: ([t.xs, t.ys], [x * y for x, y in t.pairs]),
    "aclnnForeachDivListInplace": lambda t: ([t.xs, t.ys], [x / y for x, y in t.pairs]),
    "aclnnForeachMulScalarInplace": lambda t: ([t.xs, t.one(2)], [2 * x for x in t.xs]),
    "aclnnForeachSubScalarInplace": lambda t: ([t.xs, t.one(2)], [x - 2 for x in t.xs]),
}


@pytest.mark.parametrize("name", CASES)
def test_a_function_agrees_with_its_formula(name):
    check(name, *CASES[name](Operands()))


@pytest.mark.parametrize("name", IN_PLACE)
def test_a_function_works_in_place(name):
    arguments, wanted = IN_PLACE[name](Operands())
    check(name, arguments, [], {0: wanted})


def test_the_factors_of_a_matrix_give_it_back():
    import torch
    from aclnn_call import call

    x = Operands().x.T.contiguous()
    q, r = torch.zeros(6, 4).npu(), torch.zeros(4, 4).npu()
    call("aclnnQr", x.npu(), True, q, r)
    torch.testing.assert_close((q @ r).cpu(), x, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close((q.T @ q).cpu(), torch.eye(4), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("transposed", [0, 1])
def test_gemm_scales_both_terms(transposed):
    import torch
    from aclnn_call import call

    t = Operands()
    left = t.square.T.contiguous() if transposed else t.square
    out = torch.full((4, 6), 77.0).npu()
    factors = (Float(2), Float(3), transposed, 0)
    call("aclnnGemm", left.npu(), t.x.npu(), t.y.npu(), *factors, out, 0)
    torch.testing.assert_close(out.cpu(), 2 * t.square @ t.x + 3 * t.y, rtol=1e-4, atol=1e-5)


#: All functions that this file checks.
CHECKED = (*CASES, *IN_PLACE, "aclnnGemm", "aclnnQr")

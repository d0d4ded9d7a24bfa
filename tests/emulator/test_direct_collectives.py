"""Matrix products with a collective, and experts on several ranks, compared with one process.

Every rank computes what all ranks should have, from the same random numbers.
"""

from __future__ import annotations

import pytest
from aclnn_call import Float, call, check
from ranks import run_ranks

pytestmark = pytest.mark.npu

RANKS = 2


def communicator():
    """Return the name by which an operator finds the default group's communicator."""
    import torch
    import torch.distributed as dist

    dist.all_reduce(torch.ones(1).npu())  # makes the communicator
    group = dist.distributed_c10d._get_default_group()
    return group._get_backend(torch.device("npu")).get_hccl_comm_name(dist.get_rank())


class Operands:
    """The operands of every rank."""

    def __init__(self):
        import torch

        torch.manual_seed(0)
        self.torch = torch
        self.x = [torch.randn(4, 6).half() for _ in range(RANKS)]
        self.w = [torch.randn(6, 8).half() for _ in range(RANKS)]
        self.bias = torch.randn(8).half()
        self.residual = [torch.randn(4, 8).half() for _ in range(RANKS)]

    def products(self):
        """Return each rank's product with the bias, in fp32."""
        pairs = zip(self.x, self.w, strict=True)
        return [x.float() @ w.float() + self.bias.float() for x, w in pairs]


def all_reduce(t, rank, group, version):
    total = sum(t.products())
    mode = ["aiv"] if version == 3 else []
    if version == 1:
        return [t.x[rank], t.w[rank], t.bias, group, "sum", 0, 1], [total.half()]
    total = total + sum(x.float() for x in t.residual)
    inputs = [t.x[rank], t.w[rank], t.bias, t.residual[rank], group, "sum", *mode, 0, 1]
    return inputs, [total.half()]


def reduce_scatter(t, rank, group, version):
    own = sum(t.products()).view(RANKS, 2, 8)[rank].half()
    inputs = [t.x[rank], t.w[rank], t.bias]
    if version == 1:
        return [*inputs, group, "sum", 0, 1], [own]
    return [*inputs, None, None, None, 0, group, "sum", 0, 1, 0, "aiv"], [own, None]


def all_gather(t, rank, group, version):
    gathered = t.torch.cat(t.x)
    out = (gathered.float() @ t.w[rank].float() + t.bias.float()).half()
    inputs = [t.x[rank], t.w[rank], t.bias]
    if version == 1:
        return [*inputs, group, 0, 0, 1], [out, gathered]
    return [*inputs, None, None, None, 0, group, 0, 0, 1, 0, "aiv"], [out, gathered, None]


def matmul_all_to_all(t, rank, group, version):
    columns = [p.view(4, RANKS, 4)[:, rank] for p in t.products()]
    mode = ["aiv"] if version == 2 else []
    inputs = [t.x[rank], t.w[rank].T.contiguous(), t.bias, [-1, -2], group, *mode, False, True]
    return inputs, [t.torch.cat(columns).half()]


def all_to_all_matmul(t, rank, group, version):
    permuted = t.torch.cat([x.view(RANKS, 2, 6)[rank] for x in t.x], 1)
    weight = t.torch.randn(12, 8).half()
    out = (permuted.float() @ weight.float() + t.bias.float()).half()
    mode = ["aiv"] if version == 2 else []
    inputs = [t.x[rank], weight, t.bias, None, group, *mode, False, False]
    return inputs, [out, permuted]


CASES = {
    "aclnnMatmulAllReduce": (all_reduce, 1),
    "aclnnMatmulAllReduceV2": (all_reduce, 2),
    "aclnnMatmulAllReduceV3": (all_reduce, 3),
    "aclnnMatmulReduceScatter": (reduce_scatter, 1),
    "aclnnMatmulReduceScatterV2": (reduce_scatter, 2),
    "aclnnAllGatherMatmul": (all_gather, 1),
    "aclnnAllGatherMatmulV2": (all_gather, 2),
    "aclnnMatmulAlltoAll": (matmul_all_to_all, 1),
    "aclnnMatmulAlltoAllV2": (matmul_all_to_all, 2),
    "aclnnAlltoAllMatmul": (all_to_all_matmul, 1),
    "aclnnAlltoAllMatmulV2": (all_to_all_matmul, 2),
}


def test_products_with_a_collective_agree_with_one_process():
    def rank_function(rank, size):
        group = communicator()
        for name, (case, version) in CASES.items():
            check(name, *case(Operands(), rank, group, version))

    assert run_ranks(RANKS, rank_function) == dict.fromkeys(range(RANKS), 0)


TOKENS, HIDDEN, TOP_K, EXPERTS = 3, 4, 2, 4
#: The suffix of the function that also adds and normalizes, by that of the combination.
NORMS = {"V2": "", "V3": "V2"}
VERSIONS = {
    # The version, and what follows the expert scales, and the numbers.
    "": ([], []),
    "V2": ([], [""]),
    "V3": ([None], ["", 0, 0, 0]),
    "V4": ([None, None], ["", 0, 0, 0]),
}


def test_tokens_go_to_their_experts_and_come_back():
    """Expert e multiplies by e + 1, so that a wrong route shows."""
    import torch

    def rank_function(rank, size):
        group = communicator()
        for suffix, (elastic, numbers) in VERSIONS.items():
            torch.manual_seed(1)
            x = torch.randn(RANKS, TOKENS, HIDDEN)
            scales = torch.rand(RANKS, TOKENS, TOP_K)
            experts = torch.tensor([[[0, 3], [2, 1], [0, 2]], [[3, 0], [1, 3], [2, 3]]]).int()
            active = torch.tensor([[True, True, True], [True, True, False]])
            local = EXPERTS // RANKS
            sent = [
                (e, source, n, k)
                for e in range(rank * local, (rank + 1) * local)
                for source in range(RANKS)
                for n in range(TOKENS)
                for k in range(TOP_K)
                if experts[source, n, k] == e and active[source, n]
            ]
            rows = RANKS * TOKENS * TOP_K
            expanded = torch.full((rows, HIDDEN), 77.0).npu()
            weights = torch.full((rows,), 77.0).npu()
            nums = torch.zeros(local, dtype=torch.int64).npu()
            counts = torch.zeros(local * RANKS, dtype=torch.int32).npu()
            ids, mask = experts[rank].npu(), active[rank].npu()
            expert_group = [group, RANKS, rank, EXPERTS, "", 0, 0, 0, 1, 0]
            unused = torch.zeros(1, dtype=torch.int32).npu()
            call(
                f"aclnnMoeDistributeDispatch{suffix}",
                *(x[rank].npu(), ids, None, mask, scales[rank].npu(), *elastic),
                *(*expert_group, 0, 0, 1, *numbers),
                *(expanded, None, unused, nums, counts, None, weights),
            )
            assert nums.tolist() == [
                sum(e == rank * local + i for e, *_ in sent) for i in range(local)
            ]
            for row, (_, source, n, k) in enumerate(sent):
                torch.testing.assert_close(expanded[row].cpu(), x[source, n])
                torch.testing.assert_close(weights[row].cpu(), scales[source, n, k])
            computed = torch.full((rows, 1), 77.0)
            computed[: len(sent), 0] = torch.tensor([e + 1.0 for e, *_ in sent])
            expanded = (expanded.cpu() * computed).npu()
            out = torch.zeros(TOKENS, HIDDEN).npu()
            shared = [] if suffix == "" else [x[rank].npu()]
            special = [] if suffix in ("", "V2") else [None] * (5 if suffix == "V3" else 6)
            call(
                f"aclnnMoeDistributeCombine{suffix}",
                *(expanded, ids, unused, counts, scales[rank].npu(), None, mask),
                *(None, None, None, None, *shared, *special),
                *(*expert_group, 0, 0, 0, 0, *numbers, out),
            )
            factors = (scales[rank] * (experts[rank] + 1)).sum(1, keepdim=True)
            expected = x[rank] * factors * active[rank][:, None] + (x[rank] if shared else 0)
            torch.testing.assert_close(out.cpu(), expected)
            if suffix not in NORMS:
                continue
            y, rstd, total = (torch.zeros(TOKENS, n).npu() for n in (HIDDEN, 1, HIDDEN))
            residual, gamma = torch.randn(TOKENS, HIDDEN), torch.rand(HIDDEN)
            call(
                f"aclnnMoeDistributeCombineAddRmsNorm{NORMS[suffix]}",
                *(expanded, ids, unused, counts, scales[rank].npu(), residual.npu()),
                *(gamma.npu(), None, mask, None, None, None, None, x[rank].npu(), *special),
                *(*expert_group, 0, 0, 0, 0, "", Float(1e-5), *numbers[1:], y, rstd, total),
            )
            expected = expected + residual
            torch.testing.assert_close(total.cpu(), expected)
            scale = (expected.square().mean(1, keepdim=True) + 1e-5).rsqrt()
            torch.testing.assert_close(rstd.cpu(), scale)
            torch.testing.assert_close(y.cpu(), expected * scale * gamma)

    assert run_ranks(RANKS, rank_function) == dict.fromkeys(range(RANKS), 0)


@pytest.mark.parametrize("version", ["", "V2"])
def test_no_rank_passes_a_barrier_before_the_last_one_reaches_it(version, tmp_path):
    import torch

    def rank_function(rank, size):
        group, x = communicator(), torch.zeros(1).npu()
        optional = [None, None] if version else []
        if rank == 0:
            (tmp_path / "reached").touch()
        call(f"aclnnDistributeBarrier{version}", x, *optional, group, RANKS)
        assert (tmp_path / "reached").exists()

    assert run_ranks(RANKS, rank_function) == dict.fromkeys(range(RANKS), 0)


def test_an_unknown_group_is_refused_by_name():
    import torch

    x, w = torch.randn(4, 4).npu(), torch.randn(4, 4).npu()
    with pytest.raises(RuntimeError):
        call("aclnnMatmulAllReduce", x, w, None, "no such group", "sum", 0, 1, torch.empty_like(x))


CHECKED = (
    *CASES,
    *("aclnnDistributeBarrier", "aclnnDistributeBarrierV2"),
    *(f"aclnnMoeDistributeCombineAddRmsNorm{suffix}" for suffix in NORMS.values()),
    *(
        f"aclnnMoeDistribute{half}{suffix}"
        for half in ("Dispatch", "Combine")
        for suffix in VERSIONS
    ),
)

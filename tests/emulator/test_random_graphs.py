"""Random operators inside an NPUGraph: each replay draws other numbers, by the seed."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.npu


def _attend(torch, x):
    heads = x.view(1, 1, 32, 128).half()
    return torch.nn.functional.scaled_dot_product_attention(heads, heads, heads, dropout_p=0.5)


#: Operators on 4,096 ones, and a condition on what they draw.
DRAWS = {
    "dropout": (
        lambda torch, x: torch.nn.functional.dropout(x, 0.25),
        lambda y: abs(float((y == 0).float().mean()) - 0.25) < 0.04,
    ),
    "randn": (
        lambda torch, x: torch.randn_like(x),
        lambda y: abs(float(y.mean())) < 0.06 and abs(float(y.std()) - 1) < 0.06,
    ),
    "rand": (
        lambda torch, x: torch.rand_like(x),
        lambda y: 0 <= float(y.min()) < float(y.max()) < 1 and abs(float(y.mean()) - 0.5) < 0.03,
    ),
    "randint": (
        lambda torch, x: torch.randint_like(x, 3, 7),
        lambda y: set(y.flatten().tolist()) == {3.0, 4.0, 5.0, 6.0},
    ),
    "multinomial": (
        lambda torch, x: torch.multinomial(x.cumsum(0), 4096, replacement=True),
        lambda y: abs(float(y.float().mean()) / 4096 - 2 / 3) < 0.03,
    ),
    "attention's dropout": (_attend, lambda y: float(y.float().std()) > 0),
}


@pytest.mark.parametrize("name", DRAWS)
def test_each_replay_draws_other_numbers(name):
    import torch

    draw, holds = DRAWS[name]
    x = torch.ones(4096).npu()
    side = torch.npu.Stream()
    with torch.npu.stream(side):  # the warm-up that torch requires
        draw(torch, x)
    torch.npu.synchronize()
    graph = torch.npu.NPUGraph()
    with torch.npu.graph(graph):
        y = draw(torch, x)

    def replayed():
        graph.replay()
        torch.npu.synchronize()
        return y.cpu().clone()

    torch.npu.manual_seed(5)
    first, second = replayed(), replayed()
    torch.npu.manual_seed(5)
    again = replayed()
    assert holds(first)
    assert holds(second)
    assert not torch.equal(first, second)
    assert torch.equal(first, again)

"""``CPUAdagrad`` as a replacement for ``torch.optim.Adagrad``, and the module ``cpu_adagrad``."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch

from ascend_ops import CPUAdagrad
from op_builder import CPUAdagradBuilder

pytestmark = pytest.mark.compiler


def train(optimizer_class: type[torch.optim.Optimizer], **arguments: Any) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    params = [torch.nn.Parameter(torch.randn(n, generator=generator)) for n in (1, 37, 4099)]
    optimizer = optimizer_class(params, **arguments)
    for _ in range(5):
        for param in params:
            param.grad = torch.randn(param.shape, generator=generator)
        optimizer.step()
    return [param.detach() for param in params]


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"lr": 0.5, "eps": 1e-3},
        {"lr_decay": 0.1, "weight_decay": 0.2},
        {"initial_accumulator_value": 0.3, "maximize": True},
    ],
)
def test_five_steps_equal_those_of_torch(arguments: dict[str, Any]) -> None:
    ours, theirs = train(CPUAdagrad, **arguments), train(torch.optim.Adagrad, **arguments)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def embeddings() -> tuple[torch.nn.Embedding, torch.nn.Embedding]:
    torch.manual_seed(0)
    embedding = torch.nn.Embedding(1000, 33, sparse=True)
    return embedding, copy.deepcopy(embedding)


@pytest.mark.parametrize("maximize", [False, True])
def test_sparse_gradients_update_the_rows_that_they_name(maximize: bool) -> None:
    ours, theirs = embeddings()
    optimizers = (
        CPUAdagrad(ours.parameters(), lr=0.1, lr_decay=0.2, maximize=maximize),
        torch.optim.Adagrad(theirs.parameters(), lr=0.1, lr_decay=0.2, maximize=maximize),
    )
    before = ours.weight.detach().clone()
    for step in range(3):
        words = torch.tensor([3, 999, 3, 0, 500 + step])  # one of them twice
        for embedding, optimizer in zip((ours, theirs), optimizers, strict=True):
            optimizer.zero_grad()
            embedding(words).square().sum().backward()
            optimizer.step()
    torch.testing.assert_close(ours.weight, theirs.weight, rtol=1e-5, atol=1e-6)
    assert torch.equal(ours.weight[10:20], before[10:20])


@pytest.mark.parametrize("first", ["ours", "torch"])
def test_a_state_dict_loads_either_way(first: str) -> None:
    classes = [CPUAdagrad, torch.optim.Adagrad]
    if first == "torch":
        classes.reverse()
    param = torch.nn.Parameter(torch.ones(20))
    straight = torch.nn.Parameter(torch.ones(20))
    optimizer = classes[0]([param], lr=0.3)
    reference = torch.optim.Adagrad([straight], lr=0.3)
    for step in range(4):
        if step == 2:
            other = classes[1]([param])
            other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
            optimizer = other
        param.grad = straight.grad = torch.linspace(-1, 2, 20) * (step + 1)
        optimizer.step()
        reference.step()
    torch.testing.assert_close(param, straight, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("fp32_states", [True, False])
def test_low_precision_is_rounded_once(dtype: torch.dtype, fp32_states: bool) -> None:
    param = torch.nn.Parameter(torch.linspace(-2, 2, 500).to(dtype))
    param.grad = torch.linspace(3, -1, 500).to(dtype)
    p, g = param.detach().double(), param.grad.double()
    optimizer = CPUAdagrad([param], lr=0.1, fp32_optimizer_states=fp32_states)
    optimizer.step()
    accumulated = optimizer.state[param]["sum"]
    assert accumulated.dtype == (torch.float32 if fp32_states else dtype)
    eps = torch.finfo(dtype).eps
    exact = p - 0.1 * g / (g.square().sqrt() + 1e-10)
    torch.testing.assert_close(param.detach().double(), exact, rtol=eps, atol=eps / 10)


def test_the_module_updates_as_deepspeed_calls_it() -> None:
    module: Any = CPUAdagradBuilder().load()
    module.create_adagrad(2, 9.0, 9.0, 9.0, False)
    params, grads = torch.randn(1000), torch.randn(1000)
    accumulated = torch.rand(1000)
    g = grads.double() + 0.1 * params.double()
    total = accumulated.double() + g * g
    wanted = params.double() - 0.05 * g / (total.sqrt() + 1e-8)
    assert module.adagrad_update(2, 1, 0.05, 1e-8, 0.1, params, grads, accumulated) == 0
    torch.testing.assert_close(params.double(), wanted, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(accumulated.double(), total, rtol=1e-6, atol=1e-7)
    assert module.destroy_adagrad(2) == 0
    with pytest.raises(RuntimeError, match="create_adagrad"):
        module.destroy_adagrad(2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lr": math.nan}, "lr"),
        ({"lr_decay": -1}, "lr_decay"),
        ({"initial_accumulator_value": math.inf}, "initial_accumulator_value"),
        ({"differentiable": True}, "differentiable"),
    ],
)
def test_hyperparameters_that_make_no_sense_are_refused(
    arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        CPUAdagrad([torch.nn.Parameter(torch.ones(2))], **arguments)


def test_decay_and_sparse_gradients_do_not_go_together() -> None:
    embedding, _ = embeddings()
    optimizer = CPUAdagrad(embedding.parameters(), weight_decay=0.1)
    embedding(torch.tensor([1])).sum().backward()
    with pytest.raises(RuntimeError, match="weight_decay"):
        optimizer.step()


@pytest.mark.parametrize("row", [-1, 1000])
def test_rows_that_are_not_there_are_named(row: int) -> None:
    module: Any = CPUAdagradBuilder().load()
    weight, accumulated = torch.ones(1000, 4), torch.zeros(1000, 4)
    with pytest.raises(RuntimeError, match=str(row)):
        module.adagrad_sparse_step(
            weight, torch.tensor([[5, row]]), torch.ones(2, 4), accumulated, 1, 0.1, 0.0, 1e-10
        )
    assert bool((weight == 1).all())


def test_a_sparse_gradient_that_cannot_be_used_leaves_the_dense_parameters_alone() -> None:
    dense = torch.nn.Parameter(torch.ones(4))
    sparse = torch.nn.Parameter(torch.ones(6, 3).t())  # rows that do not lie together
    optimizer = CPUAdagrad([dense, sparse], lr=0.1)
    dense.grad = torch.ones(4)
    rows = torch.tensor([[0, 2]])
    sparse.grad = torch.sparse_coo_tensor(rows, torch.ones(2, 6), (3, 6))
    with pytest.raises(RuntimeError, match="contiguous"):
        optimizer.step()
    assert dense.tolist() == [1.0] * 4
    assert optimizer.state[dense].get("step", torch.zeros(())).item() == 0
    sparse.grad = None
    optimizer.step(lambda: torch.tensor(2.0))
    assert dense[0].item() < 1

"""Derivatives that an op lacks raise NotImplementedError, on the CPU and on an NPU."""

from __future__ import annotations

import pytest
from op_calls import WITHOUT_GRADIENT, calls, public_ops

#: Window attention is varlen attention, which the error names.
ERROR_NAMES = {"nsa_window_attention": "flash_attention_varlen"}
TWICE_DIFFERENTIABLE = {"ffn", "moe_gating_topk", "nsa_compress"}
ONCE_DIFFERENTIABLE = set(public_ops()) - WITHOUT_GRADIENT - TWICE_DIFFERENTIABLE


def first(output):
    return output[0] if isinstance(output, tuple) else output


def test_there_is_a_call_of_every_op():
    assert set(calls()) == set(public_ops())


@pytest.mark.parametrize("op", sorted(ONCE_DIFFERENTIABLE))
@pytest.mark.parametrize("loss", [lambda y: y.square().sum(), lambda y: y.sum()])
def test_a_second_order_gradient_is_refused(op, loss):
    import torch

    function, tensors = calls()[op]
    leaves = [x.requires_grad_() for x in tensors]
    grads = torch.autograd.grad(loss(first(function(*leaves))), leaves, create_graph=True)
    penalty = sum(grad.square().sum() for grad in grads)
    with pytest.raises(
        NotImplementedError, match=f"^{ERROR_NAMES.get(op, op)} has no second-order gradient: "
    ):
        penalty.backward()


@pytest.mark.parametrize("op", sorted(ONCE_DIFFERENTIABLE))
def test_create_graph_does_not_change_the_gradient(op):
    import torch

    function, tensors = calls()[op]
    leaves = [x.requires_grad_() for x in tensors]
    found, wanted = (
        torch.autograd.grad(first(function(*leaves)).square().sum(), leaves, create_graph=create)
        for create in (True, False)
    )
    for got, grad in zip(found, wanted, strict=True):
        assert torch.equal(got, grad)


@pytest.mark.parametrize("op", sorted(TWICE_DIFFERENTIABLE))
def test_the_second_order_gradient_is_right(op):
    import torch

    function, tensors = calls()[op]
    leaves = [x.requires_grad_() for x in tensors]
    assert torch.autograd.gradgradcheck(lambda *inputs: first(function(*inputs)), leaves)


def test_the_second_order_gradient_of_sigmoid_gating_is_right():
    import torch

    from ascend_ops import moe_gating_topk

    x = torch.randn(2, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(
        lambda x: moe_gating_topk(x, 2, norm_type="sigmoid")[0], (x,)
    )


def test_checkpointing_works_with_create_graph():
    """Non-reentrant checkpointing unpacks saved tensors only once."""
    import torch
    from torch.utils.checkpoint import checkpoint

    from ascend_ops import rms_norm

    x, weight = torch.randn(3, 8, requires_grad=True), torch.ones(8)
    y = checkpoint(lambda x: rms_norm(x.clone(), weight), x, use_reentrant=False)
    (grad,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
    (wanted,) = torch.autograd.grad(rms_norm(x, weight).square().sum(), x)
    assert torch.equal(grad, wanted)


@pytest.mark.parametrize("op", public_ops())
def test_a_tangent_is_refused(op):
    import torch

    function, tensors = calls()[op]
    before = [x.clone() for x in tensors]
    message = f"^{ERROR_NAMES.get(op, op)} has no forward-mode derivative: "
    for position, x in enumerate(tensors):
        with torch.autograd.forward_ad.dual_level():
            duals = list(tensors)
            duals[position] = torch.autograd.forward_ad.make_dual(x, torch.ones_like(x))
            with pytest.raises(NotImplementedError, match=message):
                function(*duals)
    for x, old in zip(tensors, before, strict=True):
        assert torch.equal(x, old)


@pytest.mark.parametrize("op", public_ops())
def test_jvp_is_refused(op):
    import torch

    function, tensors = calls()[op]
    tangents = tuple(torch.ones_like(x) for x in tensors)
    with pytest.raises(NotImplementedError, match="has no forward-mode derivative: "):
        torch.func.jvp(function, tuple(tensors), tangents)


@pytest.mark.parametrize("op", sorted(ONCE_DIFFERENTIABLE | TWICE_DIFFERENTIABLE))
def test_a_direct_call_of_the_dispatcher_refuses_a_tangent(op):
    """``torch.ops.ascend_ops.rms_norm(...)``, as code does that a compiler wrote."""
    import torch
    from torch.autograd import forward_ad
    from torch.utils._python_dispatch import TorchDispatchMode

    direct = []

    class Recorder(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            if function.namespace == "ascend_ops":
                direct.append((function, args))
            return function(*args, **(kwargs or {}))

    function, tensors = calls()[op]
    with Recorder():
        function(*tensors)
    assert direct
    for overload, arguments in direct:
        with forward_ad.dual_level():
            x = arguments[0].detach()
            dual = forward_ad.make_dual(x, torch.ones_like(x))
            with pytest.raises(NotImplementedError, match="has no forward-mode derivative: "):
                overload(dual, *arguments[1:])


def test_a_call_without_a_tangent_works_within_forward_mode():
    import torch

    from ascend_ops import gelu

    x = torch.randn(3)
    with torch.autograd.forward_ad.dual_level():
        found = gelu(x)
    assert torch.equal(found, gelu(x))


@pytest.mark.npu
def test_an_npu_refuses_both():
    import torch

    from ascend_ops import rms_norm

    x, weight = torch.randn(2, 8).npu().requires_grad_(), torch.ones(8).npu()
    (grad,) = torch.autograd.grad(rms_norm(x, weight).square().sum(), x, create_graph=True)
    with pytest.raises(NotImplementedError, match="rms_norm has no second-order gradient"):
        grad.sum().backward()
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x.detach(), x.detach())
        with pytest.raises(NotImplementedError, match="rms_norm has no forward-mode derivative"):
            rms_norm(dual, weight)

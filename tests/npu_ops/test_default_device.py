"""A default device changes no op: every tensor made inside an op names its device."""

from __future__ import annotations

import pytest
from op_calls import WITHOUT_GRADIENT, calls, public_ops


def leaves(output):
    return output if isinstance(output, tuple) else (output,)


@pytest.mark.parametrize("op", public_ops())
def test_ops_ignore_the_default_device(op):
    import torch

    function, tensors = calls()[op]
    copies = [x.clone() for x in tensors]
    wanted = function(*tensors)
    with torch.device("meta"):
        found = function(*copies)
    for got, expected in zip(leaves(found), leaves(wanted), strict=True):
        assert expected is None or torch.equal(got, expected)


@pytest.mark.parametrize("op", sorted(set(public_ops()) - WITHOUT_GRADIENT))
def test_gradients_ignore_the_default_device(op):
    import torch

    function, tensors = calls()[op]
    inputs = [x.clone().requires_grad_() for x in tensors]
    output = leaves(function(*inputs))[0]
    wanted = torch.autograd.grad(output.square().sum(), inputs, retain_graph=True)
    with torch.device("meta"):
        output = leaves(function(*inputs))[0]
        found = torch.autograd.grad(output.square().sum(), inputs)
    for got, expected in zip(found, wanted, strict=True):
        assert torch.equal(got, expected)

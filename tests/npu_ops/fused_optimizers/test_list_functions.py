"""fused_adamw_, fused_lion_ and fused_lamb_: one step for lists of tensors."""

from __future__ import annotations

import textwrap

import pytest
from emulated_process import run
from op_checks import assert_close

npu = pytest.mark.npu
DEVICES = ["cpu", "npu"]
SHAPES = [(4, 5), (7,), (0,), ()]
FUNCTIONS = ["fused_adamw_", "fused_lion_", "fused_lamb_"]


def made(device, dtypes=("float32",), states=2):
    """Return lists of parameters, gradients and states; their dtypes alternate."""
    import torch

    generator = torch.Generator().manual_seed(0)
    lists = [[torch.randn(shape, generator=generator) for shape in SHAPES] for _ in range(4)]
    lists[3] = [tensor.abs() for tensor in lists[3]]
    names = [dtypes[i % len(dtypes)] for i in range(len(SHAPES))]
    return [
        [t.to(device, getattr(torch, name)) for t, name in zip(some, names, strict=True)]
        for some in lists[: 2 + states]
    ]


def flat(lists):
    return [tensor for some in lists for tensor in some]


def call(name, lists, step=3, **options):
    """Call a function with the lists that it takes; Lion has one state and no step."""
    import ascend_ops

    function = getattr(ascend_ops, name)
    options = {"lr": 0.1, **options}
    if name == "fused_lion_":
        return function(*lists[:3], **options)
    return function(*lists, step, **options)


def optimizer_step(name, lists, step, **settings):
    """Make the same step with the optimizer's class."""
    import torch

    import ascend_ops

    cls = {"fused_adamw_": "FusedAdamW", "fused_lion_": "FusedLion", "fused_lamb_": "FusedLamb"}
    params = [torch.nn.Parameter(param) for param in lists[0]]
    optimizer = getattr(ascend_ops, cls[name])(params, **settings)
    for i, param in enumerate(params):
        param.grad = lists[1][i]
        names = ("exp_avg", "exp_avg_sq")[: len(optimizer.STATES)]
        states = {state: lists[2 + k][i] for k, state in enumerate(names)}
        optimizer.state[param] = {"step": torch.tensor(step - 1.0), **states}
    optimizer.step()


@npu
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("decoupled", [True, False])
def test_adamw_and_adam_are_torchs_in_fp64(device, decoupled):
    import torch

    for options in ({}, {"weight_decay": 0.3, "eps": 1e-3, "maximize": True}):
        lists, wide = made(device), made("cpu", ("float64",))
        call("fused_adamw_", lists, decoupled_weight_decay=decoupled, **options)
        settings = {"weight_decay": 1e-2, "eps": 1e-8, "maximize": False, **options}
        function = torch.optim._functional.adamw if decoupled else torch.optim._functional.adam
        steps = [torch.tensor(2.0) for _ in SHAPES]
        function(
            *wide,
            [],
            steps,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=0.1,
            foreach=False,
            **settings,
        )
        for got, expected in zip(flat(lists), flat(wide), strict=True):
            assert_close(got, expected, "float32", 4)


@npu
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_step_is_that_of_the_class(name, device):
    """Also with lists of two dtypes, which two calls update."""
    import torch

    for dtypes in (("float32",), ("bfloat16", "float32")):
        lists, others = made(device, dtypes), made(device, dtypes)
        call(name, lists, weight_decay=0.1)
        optimizer_step(name, others, 3, lr=0.1, weight_decay=0.1)
        for got, expected in zip(flat(lists), flat(others), strict=True):
            assert torch.equal(got, expected)
        assert not torch.equal(lists[0][0], made(device, dtypes)[0][0])


@npu
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_step_may_be_a_tensor_and_gradients_are_divided_by_their_scale(name, device):
    import torch

    lists, scaled = made(device), made(device)
    scaled[1] = [grad * 8 for grad in scaled[1]]
    call(name, lists, step=3)
    scale = torch.tensor([8.0]).to(device)
    call(name, scaled, step=torch.tensor([3], dtype=torch.int32).to(device), grad_scale=scale)
    for got, expected in zip(scaled[0] + scaled[2], lists[0] + lists[2], strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(scaled[1][0], made(device)[1][0] * 8)


@npu
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("flag", ["noop_flag", "found_inf"])
def test_a_flag_skips_the_step(name, device, flag):
    import torch

    before, lists = made(device), made(device)
    lists[1][0].fill_(float("inf"))
    for on in ("cpu", device):
        for dtype in (torch.int32, torch.float32):
            call(name, lists, **{flag: torch.ones(1, dtype=dtype, device=on)})
    for got, expected in zip(lists[0] + lists[2], before[0] + before[2], strict=True):
        assert torch.equal(got, expected)
    lists, wanted = made(device), made(device)
    call(name, lists, **{flag: torch.zeros((), dtype=torch.int32, device=device)})
    call(name, wanted)
    assert all(map(torch.equal, flat(lists), flat(wanted)))


@npu
def test_lamb_returns_the_trust_ratios_in_the_order_of_the_parameters():
    import torch

    for device in DEVICES:
        lists = made(device, ("bfloat16", "float32"))
        ratios = call("fused_lamb_", lists)
        assert [ratio.dtype for ratio in ratios] == [param.dtype for param in lists[0]]
        alone = [
            call("fused_lamb_", [[t[i]] for t in made(device, ("bfloat16", "float32"))])
            for i in range(len(SHAPES))
        ]
        assert all(torch.equal(a, b) for a, (b,) in zip(ratios, alone, strict=True))
        skip = torch.ones(1, device=device)
        assert call("fused_lamb_", lists, noop_flag=skip) == []


@npu
@pytest.mark.parametrize("device", DEVICES)
def test_strided_tensors_are_updated_and_not_lost(device):
    import torch

    for name in FUNCTIONS:
        lists = [[torch.rand(6, 4).to(device).t()] for _ in range(4)]
        copies = [[t.contiguous() for t in some] for some in lists]
        call(name, lists)
        call(name, copies)
        for got, expected in zip(flat(lists), flat(copies), strict=True):
            torch.testing.assert_close(got, expected)


REFUSED = [
    ({"params": "torch.ones(2)"}, TypeError, "params must be a list of tensors, got Tensor"),
    ({"grads": "[None]"}, TypeError, r"grads\[0\] must be a tensor, got NoneType"),
    ({"grads": "[]"}, ValueError, "grads must have 1 tensors, like params, got 0"),
    ({"params": "[one.int()]"}, TypeError, r"params\[0\] must have dtype .* got int32"),
    ({"params": "[one.double()]"}, TypeError, r"params\[0\] must have dtype .* got float64"),
    ({"grads": "[one.half()]"}, TypeError, r"grads\[0\] must have dtype float32, got float16"),
    ({"exp_avgs": "[one[:1]]"}, ValueError, r"exp_avgs\[0\] must have shape \[2\] .* got \[1\]"),
    ({"exp_avgs": "[one.to('meta')]"}, ValueError, r"exp_avgs\[0\] must be on cpu"),
    ({"grads": "[one.to_sparse()]"}, TypeError, r"grads\[0\] must be a dense tensor"),
    ({"params": "[one[:1].expand(2)]"}, ValueError, r"params\[0\] must not have .* share memory"),
    ({"exp_avgs": "[one[:1].expand(2)]"}, ValueError, r"exp_avgs\[0\] must not have"),
    ({"params": "[torch.nn.Parameter(one)]"}, ValueError, r"params\[0\] must be .* torch.no_grad"),
    ({"lr": "-1.0"}, ValueError, "lr must be a finite number of at least 0, got -1.0"),
    ({"lr": "None"}, TypeError, "lr must be a number, got None"),
    ({"beta1": "1.0"}, ValueError, "beta1 must be at least 0 and less than 1, got 1.0"),
    ({"beta2": "float('nan')"}, ValueError, "beta2 must be a finite number"),
    (
        {"weight_decay": "torch.ones(2)"},
        ValueError,
        r"weight_decay must be one number, got .*\[2\]",
    ),
    ({"noop_flag": "True"}, TypeError, "noop_flag must be a tensor, got bool"),
    (
        {"found_inf": "one"},
        ValueError,
        r"found_inf must be one number, got a tensor of shape \[2\]",
    ),
    ({"grad_scale": "2.0"}, TypeError, "grad_scale must be a tensor, got float"),
    ({"step": "0"}, ValueError, "step must be a finite number of at least 1, got 0.0"),
    ({"step": "'1'.split()"}, TypeError, "step must be a number, got"),
    ({"eps": "-1e-8"}, ValueError, "eps must be a finite number of at least 0"),
]


REFUSED_CALLS = [
    (name, *case)
    for name in FUNCTIONS
    for case in REFUSED
    if name != "fused_lion_" or not {"step", "eps"} & set(case[0])
]


@pytest.mark.parametrize(("name", "wrong", "error", "words"), REFUSED_CALLS)
def test_what_cannot_be_used_is_refused_by_name_before_anything_changes(name, wrong, error, words):
    import inspect

    import torch

    import ascend_ops

    function = getattr(ascend_ops, name)
    one = torch.ones(2)
    known = {"torch": torch, "one": one}
    arguments = {n: [torch.ones(2)] for n in ("params", "grads", "exp_avgs", "exp_avg_sqs")}
    arguments = {**arguments, "step": 1, "lr": 0.1}
    taken = inspect.signature(function).parameters
    kept = {n: v for n, v in arguments.items() if n in taken}
    given = {**kept, **{n: eval(code, known) for n, code in wrong.items()}}
    with pytest.raises(error, match=words):
        function(**given)
    for value in (*kept["params"], *kept["grads"], *kept["exp_avgs"], one):
        assert torch.equal(value, torch.ones(2))


def test_empty_lists_are_a_step_of_nothing():
    assert call("fused_adamw_", [[], [], [], []]) is None
    assert call("fused_lamb_", [[], [], [], []]) == []


def test_autograd_notices_that_the_tensors_have_changed():
    import torch

    for name in FUNCTIONS:
        lists = made("cpu")
        leaf = torch.ones(4, 5, requires_grad=True)
        product = (leaf * lists[0][0]).sum()
        call(name, lists)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            product.backward()


CODE = """
import torch, warnings
warnings.simplefilter("ignore")
import ascend_ops
from ascend_ops.fused_optimizers import adamw
lists = [[torch.linspace(-1, 1, n).npu() + i for n in (3, 4)] for i in range(4)]
lists[3] = [t.abs() for t in lists[3]]
flag = torch.ones(1, dtype=torch.int32).npu()
ascend_ops.fused_adamw_(*lists, 5, lr=0.1, noop_flag=flag)
print("kept", lists[0][0].cpu().tolist())
ascend_ops.fused_adamw_(*lists, 5, lr=0.1, noop_flag=flag * 0, bias_correction=False)
print("values", torch.cat([t for some in lists for t in some]).cpu().tolist())
print("function", adamw._adamw_op.function())
"""


@pytest.mark.parametrize(
    ("disabled", "function"),
    [
        ("", "aclnnFusedAdamw"),
        ("aclnnFusedAdamw", "aclnnApplyAdamWV2"),
        ("aclnnFusedAdamw,aclnnApplyAdamWV2", ""),
    ],
)
def test_each_function_of_cann_makes_the_step(disabled, function):
    import torch

    import ascend_ops

    done = run(textwrap.dedent(CODE), ASCEND_OPS_DISABLED_ACLNN=disabled)
    found = dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)
    assert found["function"] == function, done.stderr[-2000:]
    assert found["kept"] == "[-1.0, 0.0, 1.0]"
    lists = [[torch.linspace(-1, 1, n) + i for n in (3, 4)] for i in range(4)]
    lists[3] = [tensor.abs() for tensor in lists[3]]
    ascend_ops.fused_adamw_(*lists, 5, lr=0.1, bias_correction=False)
    expected = torch.cat([tensor for some in lists for tensor in some])
    torch.testing.assert_close(torch.tensor(eval(found["values"])), expected, rtol=1e-5, atol=1e-6)

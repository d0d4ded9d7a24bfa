"""The arithmetic of the benchmarks: statistics, cases, records. Real figures are not judged."""

from __future__ import annotations

import ast
import gc
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import benchmarks
from benchmarks import cases, measure, records
from benchmarks.arrays import Arrays
from benchmarks.cases import LoadCase, StepCase

STEP = StepCase("fp32", "fp32, 1,000", tensors=1, numel=1000, target="at least 0.97")
LOAD = LoadCase("load-cold", "cold load", "at most 4 s", 4.0)


class Clock:
    """A time that only passes when something is called."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls = 0

    def perf_counter(self) -> float:
        return self.now

    def taking(self, seconds: float) -> Callable[[], None]:
        def call() -> None:
            self.now += seconds
            self.calls += 1

        return call


def test_a_spread_is_the_median_and_the_extremes() -> None:
    assert measure.spread([3.0, 1.0, 10.0]) == measure.Spread(3.0, 1.0, 10.0)


def test_speeds_are_compared_within_rounds() -> None:
    """The second round ran on a machine half as fast: both are slower, their ratio is the same."""
    found = measure.relative_speed(of=[1.0, 2.0, 1.0], to=[1.5, 3.0, 1.6])
    assert found == measure.Spread(1.5, 1.5, 1.6)


def test_rounds_without_samples_of_both_do_not_count() -> None:
    assert measure.relative_speed(of=[1.0, 1.0, 9.0], to=[4.0, 4.0]).median == 4.0


def test_implementations_alternate_and_none_is_always_first() -> None:
    order: list[str] = []
    samplers = {name: lambda name=name: order.append(name) or 1.0 for name in "abc"}
    samples = measure.interleave(samplers, rounds=3)
    assert "".join(order) == "abcbcacab"
    assert {name: len(taken) for name, taken in samples.items()} == {"a": 3, "b": 3, "c": 3}


def test_a_slow_implementation_may_take_fewer_samples() -> None:
    seen: list[str] = []
    samplers = {"fast": lambda: 1.0, "slow": lambda: 60.0}
    samples = measure.interleave(samplers, 7, at_most={"slow": 3}, on_sample=seen.append)
    assert (len(samples["fast"]), len(samples["slow"])) == (7, 3)
    assert (seen.count("fast"), seen.count("slow")) == (7, 3)


@pytest.mark.parametrize("seconds", [1e-7, 3e-4, 0.02, 5.0])
def test_a_sample_lasts_long_enough_and_is_the_time_of_one_call(
    seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(measure, "time", clock)
    sampler = measure.repeated(clock.taking(seconds), least_seconds=0.01)
    began, clock.calls = clock.now, 0
    assert sampler() == pytest.approx(seconds)
    assert clock.now - began >= 0.01 - 1e-9
    assert clock.calls == 1 or clock.now - began < 0.2


def test_the_collector_is_disabled_during_samples_and_enabled_afterwards() -> None:
    with measure.no_garbage_collection():
        assert not gc.isenabled()
    assert gc.isenabled()


@pytest.mark.parametrize(
    ("dtype", "state_dtype", "expected"),
    [("float32", "float32", 28), ("bfloat16", "float32", 22), ("float16", "float16", 14)],
)
def test_traffic_is_four_reads_and_three_writes(
    dtype: str, state_dtype: str, expected: int
) -> None:
    case = replace(STEP, tensors=3, dtype=dtype, state_dtype=state_dtype)
    assert case.bytes == 3000 * expected
    arrays = Arrays.allocate(case)
    states = [tensor for tensors in arrays.states for tensor in tensors]
    read = [*arrays.params, *arrays.grads, *states]
    written = [*arrays.params, *states]
    assert case.bytes == sum(tensor.nbytes for tensor in [*read, *written])


@pytest.mark.parametrize(
    ("change", "expected"),
    [({"optimizer": "lion"}, 20), ({"optimizer": "adagrad"}, 20), ({"offload": True}, 30)],
    ids=str,
)
def test_traffic_of_other_steps(change: dict[str, Any], expected: int) -> None:
    """Lion and Adagrad have one state; offload reads gradients twice and writes a copy."""
    case = replace(STEP, **change)
    assert case.bytes_per_element == expected
    arrays = Arrays.allocate(case)
    written = [arrays.params[0], *(states[0] for states in arrays.states)]
    read = [arrays.grads[0]] * (2 if case.offload else 1)
    moved = [*written, *written, *read, *arrays.copies]
    assert case.bytes == sum(tensor.nbytes for tensor in moved)


def test_no_case_with_a_target_is_missing() -> None:
    steps = {case.name for case in cases.adam_cases() if isinstance(case, StepCase)}
    assert {"fp32, 64 Mi", "bf16, fp32 states, 64 Mi", "bf16, 64 Mi", "fp16, 64 Mi"} <= steps
    assert {"fp32, 1,000 x 10,000", "fp32, 1 Ki", "fp32, 16 Mi"} <= steps


def test_a_quick_run_is_small_and_is_named_so() -> None:
    steps = [case for case in cases.adam_cases(quick=True) if isinstance(case, StepCase)]
    assert max(case.elements for case in steps) <= 1 << 20
    assert not any("64 Mi" in case.name for case in steps)


def test_cases_are_selected_by_pattern_and_measured_once() -> None:
    everything = cases.adam_cases()
    assert [case.name for case in cases.select(everything, ["load-w*"])] == ["warm load"]
    chosen = cases.select(everything, ["fp32", "sizes"])
    assert [case.name for case in chosen].count("fp32, 64 Mi") == 1
    assert len(cases.select(everything, [])) == len({case.name for case in everything})
    with pytest.raises(KeyError, match="fp64"):
        cases.select(everything, ["fp32", "fp64"])


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(41.2, "41.2 s"), (0.037, "37.0 ms"), (0.9994e-3, "999 us"), (1.25e-7, "125 ns")],
)
def test_durations_have_three_digits(seconds: float, text: str) -> None:
    assert cases.format_seconds(seconds) == text


def test_records_of_a_step_hold_speeds_relative_to_the_limit_and_the_best_peer() -> None:
    samples = {
        "limit": [1.0, 2.0, 1.0],
        "limit, blocked": [0.5, 1.0, 0.5],
        "ascend_ops": [2.0, 4.0, 2.0],
        "torch fused": [3.0, 6.0, 3.1],
        "torch foreach": [9.0, 9.0, 9.0],
    }
    found = {record.impl: record for record in records.records_of("adam", STEP, samples)}
    ours = found["ascend_ops"]
    assert (ours.median_s, ours.min_s, ours.max_s, ours.runs) == (2.0, 2.0, 4.0, 3)
    assert (ours.bytes, ours.gb_per_s) == (28_000, 28_000 / 2.0 / 1e9)
    assert (ours.ratio_to_limit, ours.best_peer, ours.ratio_to_peer) == (0.5, "torch fused", 1.5)
    assert (ours.ratio_to_peer_min, ours.ratio_to_peer_max) == (1.5, 1.55)
    assert ours.target == "at least 0.97"
    assert found["limit"].ratio_to_limit == 1.0
    assert found["limit, blocked"].ratio_to_limit == 2.0
    assert found["limit, blocked"].best_peer is None
    assert found["torch fused"].target is None


def test_this_project_on_another_instruction_set_is_not_a_peer() -> None:
    samples = {"limit": [1.0], "ascend_ops": [2.0], "ascend_ops, avx2": [1.5], "torch fused": [3.0]}
    counts = {"ascend_ops, avx2": {"instructions_per_element": 3.25}}
    found = {r.impl: r for r in records.records_of("optimizers", STEP, samples, counts)}
    assert {record.best_peer for record in found.values()} == {None, "torch fused"}
    assert found["ascend_ops, avx2"].ratio_to_peer == 2.0
    assert found["ascend_ops, avx2"].instructions_per_element == 3.25
    assert found["ascend_ops"].instructions_per_element is None


def test_records_of_a_load_have_counts_and_no_bytes() -> None:
    samples = {"ascend_ops": [2.0], "deepspeed": [40.0]}
    counts = {"ascend_ops": {"cpu_s": 3.5}}
    ours, theirs = records.records_of("adam", LOAD, samples, counts)
    assert (ours.bytes, ours.gb_per_s, ours.ratio_to_limit) == (None, None, None)
    assert (ours.cpu_s, ours.ratio_to_peer, ours.target_s) == (3.5, 20.0, 4.0)
    assert (theirs.cpu_s, theirs.target_s) == (None, None)


def test_a_report_is_one_json_object_that_reads_back() -> None:
    found = records.records_of("adam", STEP, {"limit": [1.0], "ascend_ops": [2.0]})
    absences = [records.Absence("adam", STEP.name, "deepspeed", "not installed")]
    report = records.Report("adam", False, {"emulated": False}, found, absences, [])
    content = json.loads(report.to_json())
    needed = ["bench", "case", "impl", "median_s", "min_s", "max_s", "runs"]
    needed += ["bytes", "gb_per_s", "ratio_to_limit"]
    for record in content["records"]:
        assert set(needed) <= set(record)
        assert all(record[name] is not None for name in needed)
    assert records.Report.from_json(report.to_json()) == report
    with pytest.raises(ValueError, match="schema must be 4, got 99"):
        records.Report.from_json(json.dumps({**content, "schema": 99}))


def test_a_value_that_json_cannot_hold_is_an_error() -> None:
    broken = replace(records.records_of("adam", LOAD, {"ascend_ops": [1.0]})[0], median_s=math.nan)
    with pytest.raises(ValueError, match="JSON"):
        records.Report("adam", False, {}, [broken]).to_json()


def test_the_machine_is_described_and_is_emulated_only_if_stated() -> None:
    facts = records.machine_facts(2, "avx2")
    assert (facts["threads"], facts["isa"], facts["emulated"]) == (2, "avx2", False)
    assert facts["torch"] == torch.__version__
    assert facts["cpu"]
    assert {"cores", "governor", "load_average_at_start", "virtual_machine"} <= set(facts)
    json.dumps(facts, allow_nan=False)


@pytest.mark.parametrize(
    ("cpuinfo", "model"),
    [
        ("processor\t: 0\nmodel name\t: AMD EPYC\n", "AMD EPYC"),
        (
            "processor\t: 0\nFeatures\t: fp asimd\nCPU implementer\t: 0x48\nCPU variant\t: 0x1\n"
            "CPU part\t: 0xd01\n",
            "CPU implementer 0x48 part 0xd01 variant 0x1",
        ),
        ("", None),
    ],
)
def test_the_model_of_a_cpu_is_found(cpuinfo: str, model: str | None) -> None:
    assert records.cpu_model(cpuinfo) == model


def test_the_package_imports_itself_relatively_since_it_has_two_names() -> None:
    for file in Path(str(benchmarks.__file__)).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom) and not getattr(node, "level", 0):
                assert "benchmarks" not in ast.unparse(node), file

"""torch, torch_npu and CANN against the table, and installed versions without an import."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.version import Version

from op_builder.cann import compatibility
from op_builder.cann.compatibility import Finding, check, load_table
from op_builder.cann.version import CannVersion

PAIRS = [
    (str(release.cann), torch_npu)
    for release in load_table().releases
    for torch_npu in release.torch_npu
]
PIP_LINE = re.compile(r"pip install torch==(\S+) torch_npu==(\S+)$")


def judge(torch: str, torch_npu: str | None, cann: str | None) -> list[Finding]:
    return check(torch, torch_npu, None if cann is None else CannVersion.parse(cann))


def only(findings: list[Finding]) -> Finding:
    [finding] = findings
    return finding


# Published combinations, all of which the table must contain.
PUBLISHED = """
9.1.0    2.12.0 2.11.0 2.10.0.post4 2.9.0.post6 2.7.1.post8
9.0.0    2.9.0.post2 2.8.0.post4 2.7.1.post4
8.5.0    2.9.0 2.8.0.post2 2.7.1.post2 2.6.0.post5
8.3.RC1  2.8.0 2.7.1 2.6.0.post3 2.1.0.post17
8.2.RC1  2.6.0 2.5.1.post1 2.1.0.post13
8.1.RC1  2.5.1 2.4.0.post4 2.3.1.post6 2.1.0.post12
8.0.0    2.4.0.post2 2.3.1.post4 2.1.0.post10
7.0.0    2.1.0 2.0.1.post1
"""


def test_the_table_holds_what_is_published() -> None:
    for line in PUBLISHED.split("\n")[1:-1]:
        cann, *torch_npu = line.split()
        assert {(cann, each) for each in torch_npu} <= set(PAIRS)


def test_the_table_is_in_order_and_spelled_as_pip_does() -> None:
    for release in load_table().releases:
        versions = [Version(each) for each in release.torch_npu]
        assert versions == sorted(versions, reverse=True)
        assert [str(version) for version in versions] == list(release.torch_npu)
    canns = [release.cann for release in load_table().releases]
    assert canns == sorted(set(canns), reverse=True)


@pytest.mark.parametrize(("cann", "torch_npu"), PAIRS)
@pytest.mark.parametrize("local", ["", "+cpu"])
def test_every_pair_of_the_table_fits(cann: str, torch_npu: str, local: str) -> None:
    assert judge(Version(torch_npu).base_version + local, torch_npu, cann) == []


@pytest.mark.parametrize(
    ("torch", "torch_npu", "cann"),
    [
        ("2.9.0", "2.9.0", "8.5.1"),
        ("2.8.0", "2.8.0", "8.3.RC2"),
        ("2.9.0", "2.9.0.post2", "9.0.1"),
        ("2.8.0+cpu", "2.8.0+gitabcdef0", "8.3.RC1"),
        ("2.13.0+cpu", "2.13.0", None),
        ("2.13.0", None, "9.1.0"),
        ("2.13.0", None, None),
    ],
)
def test_nothing_to_report(torch: str, torch_npu: str | None, cann: str | None) -> None:
    assert judge(torch, torch_npu, cann) == []


@pytest.mark.parametrize(
    ("torch", "torch_npu", "cann", "pip_line"),
    [
        # only torch changes if the torch_npu fits this CANN
        ("2.10.0", "2.9.0.post2", "9.0.0", "torch==2.9.0 torch_npu==2.9.0.post2"),
        ("2.10.0", "2.9.0.post2", None, "torch==2.9.0 torch_npu==2.9.0.post2"),
        # only torch_npu changes if it does not
        ("2.9.0", "2.8.0", "9.0.0", "torch==2.9.0 torch_npu==2.9.0.post2"),
        ("2.13.0", "2.14.0", None, "torch==2.14.0 torch_npu==2.14.0"),
    ],
)
def test_upstream_11_torch_npu_for_another_torch(
    torch: str, torch_npu: str, cann: str | None, pip_line: str
) -> None:
    """Ascend/pytorch #99: versions are not compared, and the import fails: undefined symbol."""
    finding = judge(torch, torch_npu, cann)[0]
    assert finding.severity == "error"
    assert f"torch_npu {torch_npu} is made for torch {Version(torch_npu).base_version}, " in (
        finding.message
    )
    assert f"torch {torch} is installed" in finding.message
    assert finding.message.endswith(f"pip install {pip_line}")


def test_upstream_11_torch_npu_for_a_newer_cann() -> None:
    """vllm-ascend #117, #750: torch_npu requires symbols that the older CANN lacks."""
    assert only(judge("2.9.0+cpu", "2.9.0", "8.2.RC1")) == Finding(
        "error",
        "torch_npu 2.9.0 is made for CANN 8.5.0, but the older CANN 8.2.RC1 is installed. "
        "Known to fit CANN 8.2.RC1: pip install torch==2.6.0 torch_npu==2.6.0",
    )


def test_upstream_11_torch_npu_for_a_much_older_cann() -> None:
    """triton-ascend #328: undefined symbol MsprofSysCycleTime."""
    assert only(judge("2.7.1", "2.7.1", "9.0.0-beta.2")) == Finding(
        "error",
        "torch_npu 2.7.1 is made for CANN 8.3.RC1, but the newer CANN 9.0.0-beta.2 is installed. "
        "Known to fit CANN 9.0.0: pip install torch==2.7.1 torch_npu==2.7.1.post4",
    )


def test_upstream_11_every_reason_is_given() -> None:
    findings = judge("2.10.0", "2.9.0", "8.2.RC1")
    assert [finding.severity for finding in findings] == ["error", "error"]
    lines = {match[0] for each in findings if (match := PIP_LINE.search(each.message))}
    assert lines == {"pip install torch==2.6.0 torch_npu==2.6.0"}


@pytest.mark.parametrize(
    ("torch", "torch_npu", "cann", "text"),
    [
        ("2.13.0", "2.13.0", "9.1.0", "newer than the table of known combinations"),
        ("2.5.1", "2.5.1.dev20250218", "8.0.0", "or not an official release"),
        ("2.14.0", "2.14.0", "9.3.0", "has no CANN 9.3.0. Known to fit CANN 9.1.0"),
        ("2.12.0", "2.12.0", "9.2.0-beta.2", "but the newer CANN 9.2.0-beta.2 is installed"),
        ("2.8.0", "2.8.0", "8.5.0", "but the newer CANN 8.5.0 is installed"),
        ("2.4.0", "2.4.0", "8.0.RC1", "but the older CANN 8.0.RC1 is installed"),
        ("2.12.0", "2.12.0", "9.1.0-beta.1", "but the older CANN 9.1.0-beta.1 is installed"),
    ],
)
def test_what_is_not_known_is_only_a_warning(
    torch: str, torch_npu: str, cann: str, text: str
) -> None:
    finding = only(judge(torch, torch_npu, cann))
    assert finding.severity == "warning"
    assert text in finding.message
    assert f"torch_npu {torch_npu} " in finding.message
    assert f"CANN {cann}" in finding.message


@pytest.mark.parametrize("cann", ["6.3.RC2", "8.0.RC2", "8.1.RC1", "8.5.0", "9.1.0", "11.0.0"])
@pytest.mark.parametrize("torch_npu", ["2.1.0", "2.6.0", "2.9.0", "2.12.0", "2.13.0"])
@pytest.mark.parametrize("torch", ["2.1.0", "2.9.0+cpu", "2.13.0"])
def test_the_remedy_is_one(torch: str, torch_npu: str, cann: str) -> None:
    """The proposed versions match the CANN that they are proposed for."""
    for finding in judge(torch, torch_npu, cann):
        pair = PIP_LINE.search(finding.message)
        named = re.search(r"Known to fit CANN ([^:]+): ", finding.message)
        assert pair is not None
        assert named is not None
        assert judge(pair[1], pair[2], named[1]) == []


@pytest.mark.parametrize(
    ("cann", "row"),
    [
        ("8.0.1", "8.0.0"),
        ("8.0.RC2", "8.0.RC2"),
        ("8.0.RC2.alpha002", "8.0.RC1"),
        ("8.0.T6", "8.0.RC1"),
        ("8.5.1", "8.5.0"),
        ("9.1.0-beta.1", "9.1.0"),
        ("8.4.0", None),
    ],
)
def test_the_row_of_a_version_is_the_last_one_before_it_in_its_line(
    cann: str, row: str | None
) -> None:
    release = load_table().release_of(CannVersion.parse(cann))
    assert (release and str(release.cann)) == row


@pytest.mark.parametrize(("torch", "torch_npu"), [("main", "2.9.0"), ("2.9.0", "unknown")])
def test_a_version_that_cannot_be_read(torch: str, torch_npu: str) -> None:
    finding = only(judge(torch, torch_npu, "9.0.0"))
    assert finding.severity == "warning"
    assert (
        "the versions of torch and torch_npu cannot be compared: Invalid version" in finding.message
    )


@pytest.mark.parametrize(
    ("torch", "python", "fits"),
    [
        ("2.13.0+cpu", (3, 14), True),
        ("2.13.0", (3, 9), False),
        ("2.10.0", (3, 14), False),
        ("2.9.1", (3, 10), True),
        ("2.8.0", (3, 9), True),
        ("2.99.0", (3, 20), True),
    ],
)
def test_python(torch: str, python: tuple[int, int], fits: bool) -> None:
    findings = check(torch, None, None, python)
    assert [finding.severity for finding in findings] == ([] if fits else ["warning"])
    assert all(f"Python {python[0]}.{python[1]}" in each.message for each in findings)


def test_importing_imports_no_packaging_and_no_torch() -> None:
    program = (
        f"import sys, {compatibility.__name__}, op_builder.cann; "
        "print(*{'packaging', 'torch', 'torch_npu', 'importlib.metadata'} & set(sys.modules))"
    )
    found = subprocess.run(
        [sys.executable, "-S", "-c", program],
        cwd=Path(compatibility.__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.split() == []


@pytest.mark.parametrize(
    ("cann", "python", "torch", "torch_npu", "chosen"),
    [
        ("9.1.0", None, None, None, "2.12.0.post2"),
        ("9.1.0", (3, 9), None, None, "2.7.1.post10"),  # torch 2.9 and newer need Python 3.10
        ("9.1.0", (3, 11), "2.10.0+cpu", None, "2.10.0.post6"),
        ("9.1.0", (3, 11), "2.10.0", "2.11.0", "2.11.0"),
        ("8.5.0", (3, 14), None, None, None),
        ("9.3.0", (3, 11), None, None, "2.12.0.post2"),
    ],
)
def test_the_release_to_install_fits_the_python(
    cann: str,
    python: tuple[int, int] | None,
    torch: str | None,
    torch_npu: str | None,
    chosen: str | None,
) -> None:
    version = CannVersion.parse(cann)
    assert compatibility.choose_torch_npu(version, python, torch, torch_npu) == chosen


def test_the_remedy_is_for_the_running_python() -> None:
    finding = check("2.12.0", "2.8.0", CannVersion.parse("9.1.0"), (3, 9))[0]
    assert finding.torch_npu == "2.7.1.post10"
    assert finding.message == (
        f"{finding.problem}. Known to fit CANN 9.1.0: pip install torch==2.7.1 "
        "torch_npu==2.7.1.post10"
    )

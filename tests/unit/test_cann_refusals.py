"""Refusals and their reasons, warnings, and the error that lists all of them."""

from __future__ import annotations

import copy
import logging
from pathlib import Path

import cann_trees
import pytest
from cann_trees import MACHINE, OTHER_MACHINE, FakeMachine

from op_builder.cann import install as cann
from op_builder.cann.warning import CannWarning, WarningKind
from op_builder.errors import CannNotFoundError


@pytest.fixture
def machine(tmp_path: Path) -> FakeMachine:
    return FakeMachine.below(tmp_path)


def test_the_first_variable_counts(machine: FakeMachine, tmp_path: Path) -> None:
    first, second = cann_trees.cann_9_1(tmp_path / "a"), cann_trees.toolkit_8_3(tmp_path / "b")
    found = machine.find(
        CANN_INSTALL_DIR=second, ASCEND_HOME_PATH=first, ASCEND_TOOLKIT_HOME=second
    )
    assert found.root == first
    assert found.warnings == (
        f"two places disagree, and the first one counts: CANN 9.1.0 in {first} (from "
        f"ASCEND_HOME_PATH) is used, not CANN 8.3.RC2 in {second} (from ASCEND_TOOLKIT_HOME)",
    )


def test_two_records_that_disagree(machine: FakeMachine) -> None:
    root = cann_trees.cann_9_1(machine.base)
    other = cann_trees.toolkit_8_3(machine.filesystem_root / "data")
    cann_trees.record(machine.etc, "/usr/local/Ascend")
    cann_trees.record(machine.own, "/data")
    found = machine.find()
    assert found.root == root
    [warning] = found.warnings
    assert "the first one counts" in warning
    assert str(root) in warning
    assert str(other) in warning


def test_an_unknown_version_is_allowed(machine: FakeMachine) -> None:
    root = cann_trees.bare(machine.base / "cann-new")
    cann_trees.link(machine.base / "cann", "cann-new")
    internal = cann_trees.write(root / "runtime" / "version.info", "Version=1.83.T8.0.B128")
    found = machine.find()
    assert (found.root, found.version, found.version_source) == (root, None, "nothing")
    [warning] = found.warnings
    assert warning.startswith(f"the version of CANN in {root} is unknown: {internal}: '1.83")
    internal.unlink()
    assert machine.find().warnings[0].endswith("is unknown: no file in it contains one")


def test_stubs_are_enough_to_build_but_not_to_run(machine: FakeMachine) -> None:
    root = cann_trees.toolkit_8_3(machine.base)
    (root / "lib64" / "libascendcl.so").unlink()
    assert machine.find().root == root
    assert "has no libascendcl.so in lib64" in machine.refusals(need_headers=False)


def _break(root: Path, how: str) -> None:
    if how == "headers":
        (root / "include" / "acl" / "acl.h").unlink()
    elif how == "library":
        (root / "lib64" / "libascendcl.so").unlink()


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        (
            "headers",
            f"has no acl/acl.h in include or {MACHINE}-linux/include: it is a runtime-only install "
            "(cann); building requires the toolkit",
        ),
        (
            "library",
            f"has no libascendcl.so in lib64 or {MACHINE}-linux/lib64 or runtime/lib64",
        ),
    ],
)
def test_an_incomplete_install_is_refused(machine: FakeMachine, how: str, reason: str) -> None:
    root = cann_trees.cann_9_1(machine.base)
    _break(root, how)
    assert f"ASCEND_HOME_PATH: {root} {reason}" in machine.refusals(ASCEND_HOME_PATH=root)
    assert f"well-known folder: {machine.base / 'cann'} {reason}" in machine.refusals()


def test_the_wrong_architecture_is_refused(machine: FakeMachine) -> None:
    root = cann_trees.cann(machine.base, "9.1.0", OTHER_MACHINE)
    reason = f"{root} is for aarch64, but this machine is x86_64"
    assert reason in machine.refusals(ASCEND_HOME_PATH=root)
    assert "this machine is riscv64" in machine.refusals(machine="riscv64")


def test_places_that_are_not_an_install(machine: FakeMachine, tmp_path: Path) -> None:
    def refusal(value: Path | str) -> str:
        return machine.refusals(ASCEND_HOME_PATH=value).splitlines()[0]

    gone, empty = tmp_path / "gone", tmp_path / "empty"
    empty.mkdir()
    file = cann_trees.write(tmp_path / "file")
    other = cann_trees.write(tmp_path / "other" / "file").parent
    broken = cann_trees.link(tmp_path / "broken", "gone")
    twice = cann_trees.link(tmp_path / "twice", "broken")
    loop = cann_trees.link(tmp_path / "loop", "loop")
    place = "ASCEND_HOME_PATH:"
    assert refusal(gone) == f"{place} {gone} does not exist"
    assert refusal(empty) == f"{place} {empty} is an empty folder"
    assert refusal(file) == f"{place} {file} is a file, not a folder"
    assert refusal(file / "cann") == f"{place} {file}/cann does not exist"
    assert refusal(other) == f"{place} {other} has no acl/acl.h in include"
    assert refusal(broken) == f"{place} {broken} is a broken link to {gone}"
    assert refusal(twice) == f"{place} {twice} is a broken link to {gone}"
    assert refusal(broken / "cann") == (
        f"{place} {broken}/cann does not exist, {broken} is a broken link to {gone}"
    )
    assert refusal(loop) == f"{place} {loop} cannot be read: Too many levels of symbolic links"
    assert refusal("Ascend/cann") == f"{place} Ascend/cann is not an absolute path"
    assert refusal("~/Ascend/cann") == f"{place} ~/Ascend/cann is not an absolute path"


def test_folder_below_a_link_that_works_does_not_exist(
    machine: FakeMachine, tmp_path: Path
) -> None:
    """The link was called broken."""
    (tmp_path / "real").mkdir()
    link = cann_trees.link(tmp_path / "link", "real")
    refusal = machine.refusals(ASCEND_HOME_PATH=link / "cann").splitlines()[0]
    assert refusal == f"ASCEND_HOME_PATH: {link}/cann does not exist"


@pytest.mark.parametrize("odd", ["/opt/cann ", "/opt/a:/opt/b", "/opt/cann\u00a0", "/opt/'cann'"])
def test_value_with_an_inconspicuous_character_is_quoted(machine: FakeMachine, odd: str) -> None:
    refusal = machine.refusals(ASCEND_HOME_PATH=odd).splitlines()[0]
    assert refusal == f"ASCEND_HOME_PATH: {odd!r} does not exist"


@pytest.mark.parametrize("colons", [":", "::"])
def test_trailing_colon_is_split_off(machine: FakeMachine, colons: str) -> None:
    root = cann_trees.cann_9_1(machine.base)
    assert machine.find(ASCEND_HOME_PATH=f"{root}{colons}").root == root


def test_an_unreadable_folder_is_refused(machine: FakeMachine) -> None:
    root = cann_trees.cann_9_1(machine.base)
    with cann_trees.unreadable(root):
        refusals = machine.refusals(ASCEND_HOME_PATH=root)
    assert refusals.startswith(f"ASCEND_HOME_PATH: {root} cannot be read: Permission denied")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("Install_Path=", "has no Install_Path="),
        ("UserName=HwHiAiUser", "has no Install_Path="),
        ("Install_Path=Ascend", "Install_Path=Ascend is not an absolute path"),
        ("Install_Path=/gone", "/gone does not exist"),
        ("Install_Path=/a\0b", "is not a path"),
    ],
)
def test_a_record_that_does_not_help(machine: FakeMachine, line: str, reason: str) -> None:
    record = cann_trees.write(machine.etc / "ascend_cann_install.info", line)
    [refusal] = [line for line in machine.refusals().splitlines() if str(machine.etc) in line]
    assert refusal.startswith(f"install record {record}: ")
    assert reason in refusal
    root = cann_trees.cann_9_1(machine.base)
    assert machine.find().root == root


def test_a_record_that_cannot_be_read(machine: FakeMachine) -> None:
    record = machine.etc / "ascend_cann_install.info"
    record.mkdir(parents=True)
    assert f"install record {record}: cannot be read: Is a directory" in machine.refusals()


def test_a_runtime_only_install_is_named_but_not_built_against(machine: FakeMachine) -> None:
    root = cann_trees.nnrt(machine.base)
    reason = "it is a runtime-only install (nnrt); building requires the toolkit"
    assert reason in machine.refusals()
    found = machine.find(need_headers=False)
    assert (found.root, found.kind, str(found.version)) == (root, "nnrt", "8.0.0")
    assert (found.include_dirs, found.library_dirs) == ((), (root / "lib64",))


def test_the_folder_above_an_install_is_refused_with_a_hint(machine: FakeMachine) -> None:
    cann_trees.toolkit_8_3(machine.base)
    found = machine.find(ASCEND_HOME_PATH=machine.base)
    latest = machine.base / "ascend-toolkit" / "latest"
    assert f"has no acl/acl.h in include; did you mean {latest}?; " in found.warnings[0]


def test_warnings_are_logged_once(machine: FakeMachine, caplog: pytest.LogCaptureFixture) -> None:
    cann_trees.cann_9_1(machine.base)
    with caplog.at_level(logging.WARNING, cann.__name__):
        first = machine.find(ASCEND_HOME_PATH="/nowhere/at/all")
        second = machine.find(ASCEND_HOME_PATH="/nowhere/at/all")
    assert first == second
    assert tuple(record.getMessage() for record in caplog.records) == first.warnings


def test_upstream_09_nothing_found_lists_every_place_and_its_reason(machine: FakeMachine) -> None:
    """vllm-ascend #262, #152, #130: only one variable was read, and a KeyError if it was unset."""
    (machine.base / "cann").mkdir(parents=True)
    cann_trees.link(machine.base / "ascend-toolkit" / "latest", "8.3.RC2")
    cann_trees.nnrt(machine.base)
    with pytest.raises(CannNotFoundError) as caught:
        machine.find()
    base, own = machine.base, machine.own
    libraries = f"in include or {MACHINE}-linux/include"
    assert str(caught.value).splitlines()[:-1] == [
        f"A CANN toolkit for {MACHINE} was not found. Places searched:",
        "  - environment variables: ASCEND_HOME_PATH, ASCEND_TOOLKIT_HOME, "
        "ASCEND_INSTALL_PATH, ASCEND_CANN_PACKAGE_PATH, CANN_INSTALL_DIR, ASCEND_OPP_PATH are "
        "all unset",
        f"  - install record {machine.etc}/ascend_cann_install.info: does not exist",
        f"  - install record {own}/ascend_cann_install.info: does not exist",
        f"  - well-known folder: {base}/cann is an empty folder",
        f"  - well-known folder: {base}/ascend-toolkit/latest is a broken link to "
        f"{base}/ascend-toolkit/8.3.RC2",
        f"  - well-known folder: {base}/nnrt/latest has no acl/acl.h {libraries}: it is a "
        "runtime-only install (nnrt); building requires the toolkit",
        f"  - well-known folder: {base} contains no usable cann, ascend-toolkit/latest, "
        "cann-<version>, ascend-toolkit/<version>, latest, nnae/latest, nnrt/latest",
        f"  - well-known folder: {own} does not exist",
    ]
    advice = str(caught.value).splitlines()[-1]
    assert "source /usr/local/Ascend/cann/set_env.sh" in advice
    assert "or install the CANN toolkit" in advice


def test_upstream_10_the_environment_wins_over_a_record(
    machine: FakeMachine, tmp_path: Path
) -> None:
    """sgl-kernel-npu #485, #460, #500: an install record overrode what the user had sourced."""
    sourced = cann_trees.toolkit_8_3(tmp_path / "mine")
    recorded = cann_trees.cann_9_1(machine.base)
    record = cann_trees.record(machine.etc, "/usr/local/Ascend")
    found = machine.find(ASCEND_HOME_PATH=sourced)
    assert (found.root, found.found_by) == (sourced, "ASCEND_HOME_PATH")
    assert found.warnings == (
        "two places disagree, and the environment wins: "
        f"CANN 8.3.RC2 in {sourced} (from ASCEND_HOME_PATH) is used, "
        f"not CANN 9.1.0 in {recorded} (from install record {record})",
    )


def test_upstream_10_a_wrong_variable_does_not_silently_give_another_cann(
    machine: FakeMachine,
) -> None:
    root = cann_trees.cann_9_1(machine.base)
    found = machine.find(ASCEND_HOME_PATH="/opt/typo", ASCEND_TOOLKIT_HOME=root)
    assert found.warnings == (
        f"ASCEND_HOME_PATH: /opt/typo does not exist; CANN 9.1.0 in {root} (from "
        "ASCEND_TOOLKIT_HOME) is used instead",
    )
    found = machine.find(ASCEND_HOME_PATH="/opt/typo", CANN_INSTALL_DIR="/opt/other")
    assert [warning.split(":")[0] for warning in found.warnings] == [
        "ASCEND_HOME_PATH",
        "CANN_INSTALL_DIR",
    ]


def test_a_variable_that_is_set_to_nothing_is_unset(machine: FakeMachine) -> None:
    root = cann_trees.cann_9_1(machine.base)
    found = machine.find(ASCEND_HOME_PATH="")
    assert (found.root, found.warnings) == (root, ())


def test_a_warning_is_text_with_a_kind_that_survives_a_copy() -> None:
    warning = CannWarning(WarningKind.UNUSABLE_VARIABLE, "it is used instead", "ASCEND_HOME_PATH")
    copied = copy.deepcopy(warning)
    assert (copied, copied.kind, copied.variable) == (warning, warning.kind, "ASCEND_HOME_PATH")

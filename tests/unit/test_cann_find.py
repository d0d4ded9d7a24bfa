"""Finding CANN on fake machines: every layout and every place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cann_trees
import pytest
from cann_trees import MACHINE, OTHER_MACHINE, FakeMachine

from op_builder.cann import CannInstall


@pytest.fixture
def machine(tmp_path: Path) -> FakeMachine:
    return FakeMachine.below(tmp_path)


LAYOUTS: list[tuple[Callable[[Path], Path], str, str, str]] = [
    (cann_trees.cann_9_1, "9.1.0", "cann", "ascend_toolkit_install.info"),
    (cann_trees.toolkit_8_3, "8.3.RC2", "toolkit", "ascend_toolkit_install.info"),
    (cann_trees.nnae, "8.0.0", "nnae", "ascend_nnae_install.info"),
]


@pytest.mark.parametrize(("build", "version", "kind", "read_from"), LAYOUTS)
@pytest.mark.parametrize("owner", ["root", "user"])
def test_every_layout_in_the_well_known_folders(
    machine: FakeMachine,
    build: Callable[[Path], Path],
    version: str,
    kind: str,
    read_from: str,
    owner: str,
) -> None:
    root = build(machine.base if owner == "root" else machine.own)
    found = machine.find()
    assert (found.root, str(found.version), found.kind) == (root, version, kind)
    assert isinstance(found.version_source, Path)
    assert found.version_source.name == read_from
    assert (found.arch, found.found_by, found.warnings) == (MACHINE, "well-known folder", ())
    assert [(folder / "acl/acl.h").is_file() for folder in found.include_dirs] == [True]
    assert (found.library_dirs[0] / "libascendcl.so").is_file()


def test_the_parts_of_a_new_install(machine: FakeMachine) -> None:
    root = cann_trees.cann_9_1(machine.base)
    found = machine.find()
    assert found.include_dirs == (root / "include",)
    assert found.library_dirs == (root / "lib64",)
    assert found.stub_library_dirs == (root / "devlib",)
    assert found.opp_dir == root / "opp"
    assert hash(found) == hash(machine.find())


def test_the_parts_of_an_old_install(machine: FakeMachine) -> None:
    root = cann_trees.toolkit_8_3(machine.base)
    found = machine.find()
    assert found.library_dirs == (root / "lib64", root / "runtime" / "lib64")
    assert found.stub_library_dirs == (root / "runtime" / "lib64" / "stub",)


def test_include_and_lib64_only_in_the_arch_folder(machine: FakeMachine) -> None:
    root = cann_trees.cann_9_1(machine.base)
    (root / "include").unlink()
    (root / "lib64").unlink()
    found = machine.find()
    assert found.include_dirs == (root / f"{MACHINE}-linux" / "include",)
    assert found.library_dirs == (root / f"{MACHINE}-linux" / "lib64",)


def test_the_include_dir_that_has_the_headers_comes_first(machine: FakeMachine) -> None:
    root = cann_trees.cann_9_1(machine.base)
    (root / "include").unlink()
    (root / "include").mkdir()
    assert machine.find().include_dirs == (
        root / f"{MACHINE}-linux" / "include",
        root / "include",
    )


def test_latest_as_a_folder_of_links(machine: FakeMachine) -> None:
    """Before 8.5 ``latest`` was one; it is the same install as the version it links to."""
    versioned = cann_trees.toolkit_with_folder_of_links(machine.base)
    latest = machine.base / "ascend-toolkit" / "latest"
    cann_trees.record(machine.etc, "/usr/local/Ascend")
    found = machine.find(ASCEND_HOME_PATH=versioned)
    assert (found.root, found.warnings) == (versioned, ())
    found = machine.find()
    assert (found.root, str(found.version), found.warnings) == (latest, "8.0.0", ())


def test_images_that_keep_the_old_link(machine: FakeMachine) -> None:
    root = cann_trees.cann(machine.base, "8.5.0")
    cann_trees.link(machine.base / "ascend-toolkit" / "latest", "../cann")
    found = machine.find(ASCEND_HOME_PATH=machine.base / "ascend-toolkit" / "latest")
    assert (found.root, found.kind, found.warnings) == (root, "cann", ())


def test_latest_directly_under_the_base(machine: FakeMachine) -> None:
    root = cann_trees.bare(machine.base / "latest")
    assert machine.find().root == root


@pytest.mark.parametrize(
    "variable",
    [
        "ASCEND_HOME_PATH",
        "ASCEND_TOOLKIT_HOME",
        "ASCEND_INSTALL_PATH",
        "ASCEND_CANN_PACKAGE_PATH",
        "CANN_INSTALL_DIR",
        "ASCEND_OPP_PATH",
    ],
)
def test_each_variable(machine: FakeMachine, tmp_path: Path, variable: str) -> None:
    root = cann_trees.cann_9_1(tmp_path / "opt")
    value = root / "opp" if variable == "ASCEND_OPP_PATH" else root
    found = machine.find(**{variable: value})
    assert (found.root, found.found_by, found.warnings) == (root, variable, ())


@pytest.mark.parametrize(
    "variable", ["ASCEND_INSTALL_PATH", "ASCEND_CANN_PACKAGE_PATH", "CANN_INSTALL_DIR"]
)
def test_variables_that_may_name_the_folder_above(
    machine: FakeMachine, tmp_path: Path, variable: str
) -> None:
    root = cann_trees.toolkit_8_3(tmp_path / "opt")
    assert machine.find(**{variable: tmp_path / "opt"}).root == root


def test_a_variable_means_the_folder_itself_before_what_lies_in_it(
    machine: FakeMachine, tmp_path: Path
) -> None:
    root = cann_trees.cann_9_1(tmp_path / "opt")
    cann_trees.toolkit_8_3(root)
    assert machine.find(ASCEND_INSTALL_PATH=root).root == root


def test_what_set_env_sets_gives_no_warning(machine: FakeMachine) -> None:
    root = cann_trees.cann_9_1(machine.base)
    cann_trees.record(machine.etc, "/usr/local/Ascend")
    linked = machine.base / "cann"
    found = machine.find(
        ASCEND_HOME_PATH=linked, ASCEND_TOOLKIT_HOME=linked, ASCEND_OPP_PATH=linked / "opp"
    )
    assert (found.root, found.found_by, found.warnings) == (root, "ASCEND_HOME_PATH", ())


@pytest.mark.parametrize("value", ["/usr/local/Ascend", "'/usr/local/Ascend'"])
def test_only_a_record(machine: FakeMachine, value: str) -> None:
    root = cann_trees.cann_9_1(machine.base)
    record = cann_trees.record(machine.etc, value)
    found = machine.find()
    assert (found.root, found.found_by) == (root, f"install record {record}")


def test_only_a_record_in_the_home(machine: FakeMachine) -> None:
    root = cann_trees.cann_9_1(machine.filesystem_root / "data" / "cann")
    record = cann_trees.record(machine.own, "/data/cann")
    found = machine.find()
    assert (found.root, found.found_by) == (root, f"install record {record}")


def test_a_record_that_names_the_install_itself(machine: FakeMachine) -> None:
    root = cann_trees.toolkit(machine.base, "8.3.RC2", latest=False)
    cann_trees.record(machine.etc, "/usr/local/Ascend/ascend-toolkit/8.3.RC2/")
    assert machine.find().root == root


def test_records_before_well_known_folders(machine: FakeMachine) -> None:
    cann_trees.cann_9_1(machine.base)
    root = cann_trees.toolkit_8_3(machine.filesystem_root / "data")
    cann_trees.record(machine.etc, "/data")
    found = machine.find()
    assert (found.root, found.warnings) == (root, ())


def test_new_layout_before_old_and_toolkit_before_nnae(machine: FakeMachine) -> None:
    cann_trees.nnae(machine.base)
    toolkit = cann_trees.toolkit_8_3(machine.base)
    assert machine.find().root == toolkit
    root = cann_trees.cann(machine.base, "8.5.0")
    assert machine.find().root == root


def test_of_versions_side_by_side_the_highest(machine: FakeMachine) -> None:
    for version in ("8.1.RC1", "8.2.RC1", "8.10.RC1", "8.9.RC1"):
        cann_trees.toolkit(machine.base, version, latest=False)
    cann_trees.write(machine.base / "ascend-toolkit" / "set_env.sh")
    found = machine.find()
    assert found.root == machine.base / "ascend-toolkit" / "8.10.RC1"
    [warning] = found.warnings
    assert "the highest of several versions" in warning
    for version in ("8.1.RC1", "8.2.RC1", "8.9.RC1"):
        assert str(machine.base / "ascend-toolkit" / version) in warning


def test_of_new_and_old_versions_side_by_side_the_highest(machine: FakeMachine) -> None:
    old = cann_trees.toolkit(machine.base, "8.3.RC2", latest=False)
    middle = cann_trees.cann(machine.base, "8.5.0", linked=False)
    highest = cann_trees.cann(machine.base, "9.1.0", linked=False)
    found = machine.find()
    assert found.root == highest
    assert f"the others: {middle}, {old}." in found.warnings[0]


def test_one_install_under_two_names_is_one(machine: FakeMachine) -> None:
    root = cann_trees.cann(machine.base, "8.5.0", linked=False)
    cann_trees.link(machine.base / "ascend-toolkit" / "8.5.0", root)
    assert (machine.find().root, machine.find().warnings) == (root, ())


def test_a_link_decides_between_versions(machine: FakeMachine) -> None:
    root = cann_trees.cann(machine.base, "8.5.0", linked=True)
    cann_trees.cann(machine.base, "9.1.0", linked=False)
    found = machine.find()
    assert (found.root, found.warnings) == (root, ())


def test_an_unusable_version_gives_way_to_a_lower_one(machine: FakeMachine) -> None:
    (machine.base / "cann-9.1.0").mkdir(parents=True)
    root = cann_trees.cann(machine.base, "8.5.0", linked=False)
    found = machine.find()
    assert (found.root, found.warnings) == (root, ())


@pytest.mark.parametrize("name", ["cann", "ascend-toolkit/latest"])
def test_a_broken_link_gives_way_to_a_version(machine: FakeMachine, name: str) -> None:
    cann_trees.link(machine.base / name, machine.base / "gone")
    root = cann_trees.cann(machine.base, "8.5.0", linked=False)
    assert machine.find().root == root


@pytest.mark.parametrize("spelling", ["amd64", "x86_64", "AMD64"])
def test_other_names_of_a_machine(machine: FakeMachine, spelling: str) -> None:
    cann_trees.cann_9_1(machine.base)
    assert machine.find(machine=spelling).arch == "x86_64"


@pytest.mark.parametrize("spelling", ["aarch64", "arm64"])
@pytest.mark.parametrize("folder", ["aarch64", "arm64"])
def test_arm_and_its_old_folder(machine: FakeMachine, spelling: str, folder: str) -> None:
    root = cann_trees.toolkit(machine.base, "8.0.0", folder)
    found = machine.find(machine=spelling)
    info = root / f"{folder}-linux" / "ascend_toolkit_install.info"
    assert (found.arch, found.version_source) == ("aarch64", info)


def test_an_install_for_two_machines(machine: FakeMachine) -> None:
    root = cann_trees.cann_9_1(machine.base)
    cann_trees.write(root / f"{OTHER_MACHINE}-linux" / "include" / "acl" / "acl.h")
    assert machine.find().include_dirs == (root / "include",)


def test_a_home_that_is_not_there(tmp_path: Path) -> None:
    root = cann_trees.cann_9_1(tmp_path / "usr" / "local" / "Ascend")
    found = CannInstall.find({}, filesystem_root=tmp_path, machine=MACHINE)
    assert found.root == root


def test_the_home_comes_from_the_environment(tmp_path: Path) -> None:
    root = cann_trees.cann_9_1(tmp_path / "home" / "Ascend")
    environ = {"HOME": str(tmp_path / "home")}
    assert CannInstall.find(environ, filesystem_root=tmp_path, machine=MACHINE).root == root


def test_spaces_and_unicode_in_a_path(machine: FakeMachine, tmp_path: Path) -> None:
    root = cann_trees.cann_9_1(tmp_path / "my CANN's \N{SNOWMAN}")
    assert machine.find(ASCEND_HOME_PATH=root).root == root
    cann_trees.record(machine.own, root)
    where = machine.filesystem_root / root.relative_to("/")
    where.parent.mkdir(parents=True)
    where.symlink_to(root)
    assert machine.find().root == root


def test_all_installs_are_listed_each_once(machine: FakeMachine) -> None:
    """Also those behind the one that wins, those without headers, and why others are refused."""
    new = cann_trees.cann_9_1(machine.base)
    old = cann_trees.toolkit_8_3(machine.base)
    runtime = cann_trees.nnrt(machine.base)
    own = cann_trees.cann(machine.own, "8.5.0")
    found, refused = CannInstall.find_all(
        {"ASCEND_HOME_PATH": str(old), "ASCEND_TOOLKIT_HOME": "/no/such/cann"},
        filesystem_root=machine.filesystem_root,
        home=machine.home,
        machine=MACHINE,
    )
    assert [each.root for each in found] == [old, new, runtime, own]
    assert [str(each.version) for each in found] == ["8.3.RC2", "9.1.0", "8.0.0", "8.5.0"]
    assert any("/no/such/cann does not exist" in refusal for refusal in refused)

"""CANN versions: their notation and order, and the file of an install that contains one."""

from __future__ import annotations

from pathlib import Path

import cann_trees
import pytest
from hypothesis import given
from hypothesis import strategies as st

from op_builder.cann.version import CannVersion, read_version, version_of_folder

IN_ORDER = [
    "6.3.RC3",
    "6.3.RC3.1",
    "7.0.RC1",
    "7.0.0.beta1",
    "7.0.0",
    "8.0.T6",
    "8.0.RC1",
    "8.0.RC2.alpha002",
    "8.0.RC2",
    "8.0.RC3",
    "8.0.0.alpha001",
    "8.0.0.beta1",
    "8.0.0",
    "8.1.RC1.alpha001",
    "8.1.RC1",
    "8.2.RC1",
    "8.3.RC1",
    "8.3.RC2",
    "8.3.RC10",
    "8.5.0.alpha002",
    "8.5.0",
    "8.5.1",
    "8.10.0",
    "9.0.T501",
    "9.0.0",
    "9.1.0",
    "9.2.0-beta.2",
    "9.2.0-beta.10",
    "9.2.0-rc.1",
    "9.2.0",
    "10.0.0",
]


@pytest.mark.parametrize("text", IN_ORDER)
def test_str_gives_back_the_text(text: str) -> None:
    assert str(CannVersion.parse(text)) == text


def test_order() -> None:
    versions = [CannVersion.parse(text) for text in IN_ORDER]
    for index, version in enumerate(versions):
        assert all(earlier < version for earlier in versions[:index])
        assert all(later > version for later in versions[index + 1 :])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("8.1.RC1.alpha001", "8.1.rc1.ALPHA1"),
        ("9.2.0-beta.2", "9.2.0.beta2"),
        ("8.5.0", "8.5"),
        ("8.5.0", "8.5.00"),
    ],
)
def test_equal_though_written_differently(one: str, other: str) -> None:
    first, second = CannVersion.parse(one), CannVersion.parse(other)
    assert first == second
    assert hash(first) == hash(second)
    assert first <= second <= first


def test_compares_with_versions_only() -> None:
    assert CannVersion.parse("8.5.0") != "8.5.0"
    with pytest.raises(TypeError):
        assert CannVersion.parse("8.5.0") < "9.0.0"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "8",
        "latest",
        "8.",
        "8.0.",
        ".8.0",
        "8.0.RC",
        "8.0.QQ3",
        "8.0.0-",
        " 8.0.0",
        "8.0.0\n",
        "8.0.0 8.1.0",
        "\u0668.\u0660.\u0660",
        # internal versions from real files
        "1.83.T8.0.B128",
        "7.6.0.1.220",
        "7.7.T20.0.B210",
        "CANN-1.83",
        "V100R001C23SPC002B210",
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a public CANN version such as"):
        CannVersion.parse(text)


@pytest.mark.parametrize(
    ("text", "line"),
    [("8.3.RC2", (8, 3)), ("8.10.0", (8, 10)), ("10.0.0-beta.1", (10, 0)), ("9.0.T501", (9, 0))],
)
def test_release_line(text: str, line: tuple[int, int]) -> None:
    assert CannVersion.parse(text).release_line == line


numbers = st.integers(min_value=0, max_value=10**6)
third_parts = st.one_of(
    numbers.map(str),
    st.tuples(numbers, numbers).map(lambda pair: f"{pair[0]}.{pair[1]}"),
    numbers.map(lambda number: f"RC{number}"),
    numbers.map(lambda number: f"T{number}"),
)
stages = st.one_of(
    st.just(""),
    st.tuples(
        st.sampled_from(["-", "."]),
        st.sampled_from(["alpha", "beta", "rc", "Beta"]),
        st.sampled_from(["", "."]),
        numbers,
    ).map(lambda parts: "".join(map(str, parts))),
)
finals = st.tuples(numbers, numbers, third_parts).map(lambda parts: ".".join(map(str, parts)))
texts = st.tuples(finals, stages).map("".join)
versions = texts.map(CannVersion.parse)


@given(texts)
def test_every_version_round_trips(text: str) -> None:
    assert str(CannVersion.parse(text)) == text


@given(versions, versions, versions)
def test_the_order_is_total(first: CannVersion, second: CannVersion, third: CannVersion) -> None:
    assert (first < second) + (first == second) + (first > second) == 1
    assert (first <= second) == (first < second or first == second)
    if first <= second <= third:
        assert first <= third
    if first == second:
        assert hash(first) == hash(second)


@given(st.tuples(numbers, numbers, numbers), st.tuples(numbers, numbers, numbers))
def test_numbers_compare_as_numbers(
    first: tuple[int, int, int], second: tuple[int, int, int]
) -> None:
    one, other = (CannVersion.parse(".".join(map(str, parts))) for parts in (first, second))
    assert (one < other) == (first < second)


@given(finals, numbers)
def test_a_stage_comes_before_what_it_leads_to(final: str, count: int) -> None:
    suffixes = (f".alpha{count}", f"-beta.{count}", f"-rc{count}", "")
    in_order = [CannVersion.parse(final + suffix) for suffix in suffixes]
    assert in_order == sorted(in_order)
    assert len(set(in_order)) == len(in_order)


@given(st.text())
def test_any_text_is_a_version_or_a_value_error(text: str) -> None:
    try:
        assert str(CannVersion.parse(text)) == text
    except ValueError as error:
        assert repr(text) in str(error)  # noqa: PT017


ARCH = "x86_64-linux"


@pytest.mark.parametrize(
    ("name", "line", "version"),
    [
        (f"{ARCH}/ascend_toolkit_install.info", "version=8.3.RC2", "8.3.RC2"),
        (f"{ARCH}/ascend_toolkit_install.info", "version=8.1.RC1.alpha001", "8.1.RC1.alpha001"),
        (f"{ARCH}/ascend_toolkit_install.info", "version=9.2.0-beta.2", "9.2.0-beta.2"),
        ("ascend_toolkit_install.info", "version = '8.0.RC3'", "8.0.RC3"),
        ("share/info/runtime/version.info", "Version=9.1.0", "9.1.0"),
        ("share/info/asc-devkit/version.info", "Version=9.0.T501", "9.0.T501"),
        ("share/info/asc_devkit/version.info", "Version=8.10.0", "8.10.0"),
        ("version.cfg", "runtime_running_version=[7.6.0.1.220:8.0.0]", "8.0.0"),
        ("version.cfg", "runtime_running_version=[7.7.T20.0.B210:8.1.RC1]", "8.1.RC1"),
        ("runtime/version.info", "Version=10.0.0", "10.0.0"),
        ("ascend_nnae_install.info", "version=8.0.0", "8.0.0"),
        (f"{ARCH}/ascend_nnae_install.info", "version=8.0.0", "8.0.0"),
        (f"{ARCH}/ascend_nnrt_install.info", "version=7.0.0.beta1", "7.0.0.beta1"),
        ("ascend_nnrt_install.info", "version=8.0.0", "8.0.0"),
    ],
)
def test_each_file_that_states_a_version(
    tmp_path: Path, name: str, line: str, version: str
) -> None:
    path = cann_trees.write(tmp_path / name, "# a comment", line)
    reading = read_version(tmp_path, ARCH)
    assert (str(reading.version), reading.source, reading.refusals) == (version, path, ())


@pytest.mark.parametrize(
    ("name", "line", "reason"),
    [
        (f"{ARCH}/ascend_toolkit_install.info", "innerversion=V100R001C23", "has no version="),
        (f"{ARCH}/ascend_toolkit_install.info", "version=", "has no version="),
        (f"{ARCH}/ascend_toolkit_install.info", "version=new", "'new' is not a public CANN"),
        ("share/info/runtime/version.info", "timestamp=20260101", "has no Version="),
        ("version.cfg", "# version: 1.0", "has no runtime_running_version="),
        ("version.cfg", "runtime_running_version=[9.9]", "not [internal:public]"),
        ("version.cfg", "runtime_running_version=[1.83.T8.0.B128:CANN-1.83]", "'CANN-1.83' is not"),
        ("runtime/version.info", "Version=1.83.T8.0.B128", "'1.83.T8.0.B128' is not a public CANN"),
    ],
)
def test_a_file_without_a_version_is_refused_and_the_next_one_is_read(
    tmp_path: Path, name: str, line: str, reason: str
) -> None:
    bad = cann_trees.write(tmp_path / name, line)
    good = cann_trees.write(tmp_path / "ascend_nnrt_install.info", "version=8.0.0")
    reading = read_version(tmp_path, ARCH)
    assert (str(reading.version), reading.source) == ("8.0.0", good)
    [refusal] = reading.refusals
    assert refusal.startswith(f"{bad}: ")
    assert reason in refusal


def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "version.cfg").mkdir()
    reading = read_version(tmp_path, ARCH)
    assert reading.refusals == (f"{tmp_path / 'version.cfg'}: cannot be read: Is a directory",)


def test_bytes_that_are_not_text_do_not_hide_the_version(tmp_path: Path) -> None:
    info = tmp_path / ARCH / "ascend_toolkit_install.info"
    info.parent.mkdir()
    info.write_bytes(b"path=/opt/\xbb\xaa\x00\r\nversion=8.3.RC2\r\n")
    assert str(read_version(tmp_path, ARCH).version) == "8.3.RC2"


def test_only_the_first_kilobytes_are_read(tmp_path: Path) -> None:
    info = cann_trees.write(
        tmp_path / ARCH / "ascend_toolkit_install.info", "#" * 2**20, "version=8.3.RC2"
    )
    assert read_version(tmp_path, ARCH).refusals == (f"{info}: has no version=",)


def test_never_the_version_of_another_package(tmp_path: Path) -> None:
    """ascend_*_install.info and share/info/*/version.info would match files of other products."""
    for name in ("ascend_ops_install.info", "ascend_tfplugin_install.info"):
        cann_trees.install_info(tmp_path / ARCH / name, "other", "1.2.3")
        cann_trees.install_info(tmp_path / name, "other", "1.2.3")
    cann_trees.write(tmp_path / "share" / "info" / "mstx" / "version.info", "Version=26.2.0")
    assert read_version(tmp_path, ARCH).version is None
    cann_trees.install_info(tmp_path / ARCH / "ascend_nnae_install.info", "nnae", "8.0.0")
    cann_trees.install_info(tmp_path / ARCH / "ascend_toolkit_install.info", "toolkit", "8.3.RC2")
    assert str(read_version(tmp_path, ARCH).version) == "8.3.RC2"


@pytest.mark.parametrize(
    ("folder", "version"), [("cann-9.1.0", "9.1.0"), ("8.3.RC2", "8.3.RC2"), ("latest", None)]
)
def test_the_name_of_the_folder_is_used_last(
    tmp_path: Path, folder: str, version: str | None
) -> None:
    reading = read_version(tmp_path / folder, ARCH)
    assert (reading.version and str(reading.version)) == version
    assert reading.source == (f"the folder's name, {folder}" if version else "nothing")


@pytest.mark.parametrize("name", ["cann", "cann-", "cann-new", "cann-cann-9.1.0", "set_env.sh"])
def test_a_folder_name_without_a_version(name: str) -> None:
    assert version_of_folder(name) is None

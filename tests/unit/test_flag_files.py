"""Files that flags name are found and hashed; flags whose files cannot be known are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from op_builder.system import file_identity
from op_builder.toolchain.flag_files import named_files


@pytest.mark.parametrize(
    "flag",
    [
        "@{file}",
        "-specs={file}",
        "--specs={file}",
        "-fplugin={file}",
        "-fprofile-use={file}",
        "-fprofile-instr-use={file}",
        "-fauto-profile={file}",
        "-include {file}",
        "-T{file}",
        "-T {file}",
        "-Wl,-T,{file}",
        "-Wl,--version-script={file}",
        "-Wl,@{file}",
        "-Xlinker --dynamic-list={file}",
        "-fsanitize-ignorelist={file}",
        "-fbasic-block-sections=list={file}",
        "{file}",
    ],
)
@pytest.mark.parametrize("where", ["cxx_args", "extra_ldflags", "CXX"])
def test_a_named_file_is_hashed(tmp_path: Path, flag: str, where: str) -> None:
    file = tmp_path / "file"
    file.write_text("-O1", encoding="utf-8")
    flags = flag.format(file=file).split()
    assert named_files(flags, str, where) == {str(file): file_identity.digest_file(file)}
    file.unlink()
    if "specs" not in flag:
        assert named_files(flags, str, where) == {}


def test_a_path_below_a_root_is_resolved(tmp_path: Path) -> None:
    (tmp_path / "flags").write_text("-O1", encoding="utf-8")
    found = named_files(["@source/flags"], lambda path: f"{tmp_path}/{path[7:]}", "cxx_args")
    assert list(found) == ["source/flags"]


def test_files_in_a_response_file_are_found(tmp_path: Path) -> None:
    outer, inner, profile = tmp_path / "outer", tmp_path / "inner", tmp_path / "profile"
    outer.write_text(f"-O1 '@{inner}'", encoding="utf-8")
    inner.write_text(f"-fprofile-use={profile}", encoding="utf-8")
    profile.write_text("", encoding="utf-8")
    assert set(named_files([f"@{outer}"], str, "CXX")) == {str(outer), str(inner), str(profile)}


@pytest.mark.parametrize("magic", [b"\x7fELF", b"!<arch>\n"])
def test_what_the_linker_lists_is_not_hashed_twice(tmp_path: Path, magic: bytes) -> None:
    file = tmp_path / "file.a"
    file.write_bytes(magic)
    assert named_files([str(file)], str, "extra_ldflags") == {}


@pytest.mark.parametrize(
    ("flags", "where", "reason"),
    [
        (["-MMD"], "cxx_args", "lists the files"),
        (["-MF", "x.d"], "CXX", "lists the files"),
        (["-Wp,-MD,x.d"], "cxx_args", "lists the files"),
        (["-Wl,--dependency-file=x"], "extra_ldflags", "lists the files"),
        (["-wrapper", "env"], "cxx_args", "wrapper script"),
        (["-B/opt/binutils"], "cxx_args", "add it to CXX"),
        (["-B", "/opt/binutils"], "extra_ldflags", "add it to CXX"),
        (["--prefix=/opt"], "cxx_args", "add it to CXX"),
        (["-specs=nosys.specs"], "cxx_args", "got 'nosys.specs'"),
        (["-specs", "nosys.specs"], "CXX", "absolute"),
        (["-fprofile-use={tmp}"], "cxx_args", "must be a file"),
        (["-specs={tmp}/specs"], "cxx_args", "%include"),
        (["--config={tmp}/clang.cfg"], "cxx_args", "add it to CXX"),
        (["--config", "{tmp}/clang.cfg"], "extra_ldflags", "add it to CXX"),
        (["--config-user-dir={tmp}"], "cxx_args", "add it to CXX"),
        (["--gcc-toolchain={tmp}"], "extra_ldflags", "add it to CXX"),
        (["--gcc-install-dir={tmp}"], "cxx_args", "add it to CXX"),
        (["-fplugin=annobin"], "cxx_args", "must be a path"),
        (["-fplugin", "annobin"], "CXX", "must be a path"),
        (["-fmodules"], "cxx_args", "include headers"),
        (["-fmodules-ts"], "CXX", "include headers"),
        (["-fprebuilt-module-path={tmp}"], "cxx_args", "include headers"),
    ],
)
def test_other_flags_are_refused_by_name(
    tmp_path: Path, flags: list[str], where: str, reason: str
) -> None:
    (tmp_path / "specs").write_text("%include <other.specs>", encoding="utf-8")
    given = [flag.format(tmp=tmp_path) for flag in flags]
    with pytest.raises(ValueError, match=reason) as caught:
        named_files(given, str, where)
    assert str(caught.value).startswith(f"{where} must not contain {given[0]!r}: ")


def test_usual_flags_name_no_files(tmp_path: Path) -> None:
    flags = ["-O3", f"-I{tmp_path}", "-DX=/etc/passwd", "-isystem", str(tmp_path), "-Wl,-z,defs"]
    flags += [
        f"-ffile-prefix-map={tmp_path}=.",
        "-B",
        "-fno-modules",
        "-fmodules-embed-all-files",
        "-fplugin-arg-name-key=value",
    ]
    flags += ["--config", f"{tmp_path}/absent.cfg", f"--gcc-toolchain={tmp_path}"]
    assert named_files(flags, str, "CXX") == {}

"""``ascend-ops cache``, on artificial caches."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from command_line import CommandLine
from outside_op import OutsideOp
from user_folders import UserFolders


def test_list(command_line: CommandLine, outside_op: OutsideOp) -> None:
    assert command_line("cache", "list", "--json").json == {"entries": [], "damaged": []}
    entry = outside_op.publish()
    content = command_line("cache", "list", "--json").json
    (found,) = content["entries"]
    assert found == {
        "op": "made_up",
        "layer": "user",
        "bytes": 9,
        "build_seconds": 1.5,
        "created": "2026-01-02T03:04:05+00:00",
        "bound_to": {},
        "path": str(entry.path),
    }
    assert "made_up" in command_line("cache", "list").out
    (entry.path / "manifest.json").write_bytes(b"{")
    done = command_line("cache", "list")
    assert (done.status, done.err) == (0, "")
    assert f"not an entry: {entry.path}: manifest.json cannot be read" in done.text
    assert len(command_line("cache", "list", "--json").json["damaged"]) == 1


def test_verify(command_line: CommandLine, outside_op: OutsideOp) -> None:
    entry = outside_op.publish()
    assert command_line("cache", "verify").out == "1 entries checked, 0 damaged\n"
    assert command_line("cache", "verify", "--json").json == {"checked": 1, "damaged": []}
    entry.library.write_bytes(b"A library")
    done = command_line("cache", "verify", "--json")
    assert done.status == 1
    (damage,) = done.json["damaged"]
    assert str(entry.library) in damage
    assert damage in done.err.replace("\n", "")
    assert command_line("cache", "verify").status == 1


def test_explain_a_hit(command_line: CommandLine, outside_op: OutsideOp) -> None:
    entry = outside_op.publish()
    content = command_line("cache", "explain", "made_up", "--json").json
    assert (content["op"], content["hit"]) == ("made_up", str(entry.path))
    assert content["build_key"] == entry.path.parent.name
    assert content["headers"] == 1
    assert (content["nearest"], content["differences"], content["refusals"]) == (None, [], [])
    assert content["recipe"]["sources"].keys() == {"a.cpp"}
    assert content["toolchain"]["compiler"]["version"] == "gcc 13.2.1"
    text = command_line("cache", "explain", "made_up").text
    assert f"hit: {entry.path}" in text
    assert content["build_key"] in text


def test_explain_a_hit_needs_no_compiler(
    command_line: CommandLine, outside_op: OutsideOp, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = outside_op.publish()
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("CXX", raising=False)
    done = command_line("cache", "explain", "made_up", "--json")
    assert done.status == 0, done.err
    assert done.json["hit"] == str(entry.path)
    assert done.json["build_key"] == entry.path.parent.name


def test_explain_a_miss_shows_which_part_differs(
    command_line: CommandLine, outside_op: OutsideOp
) -> None:
    entry = outside_op.publish()
    (outside_op.source / "a.cpp").write_text("// mended\n", encoding="utf-8")
    content = command_line("cache", "explain", "made_up", "--json").json
    assert (content["hit"], content["nearest"]) == (None, str(entry.path))
    (difference,) = content["differences"]
    assert difference.startswith("recipe.sources.a.cpp: ")
    text = command_line("cache", "explain", "made_up").text
    assert text.startswith("miss nearest entry: ")
    assert difference in text


def test_explain_an_entry_that_was_refused(
    command_line: CommandLine, outside_op: OutsideOp
) -> None:
    outside_op.publish()
    (outside_op.source / "a.h").write_text("// another\n", encoding="utf-8")
    content = command_line("cache", "explain", "made_up", "--json").json
    assert content["differences"] == []
    (refusal,) = content["refusals"]
    assert f"header {outside_op.source / 'a.h'} changed" in refusal
    assert "refused: user: header" in command_line("cache", "explain", "made_up").text


def test_explain_with_nothing_cached(command_line: CommandLine, outside_op: OutsideOp) -> None:
    content = command_line("cache", "explain", "made_up", "--json").json
    assert (content["hit"], content["nearest"], content["differences"]) == (None, None, [])


def test_prune(command_line: CommandLine, outside_op: OutsideOp) -> None:
    assert command_line("cache", "prune", "--json").json == {"removed": []}
    entry = outside_op.publish()
    assert command_line("cache", "prune").out == "0 folders removed\n"
    done = command_line("cache", "prune", "--days", "0", "--json")
    assert done.json == {"removed": [str(entry.path)]}


@pytest.mark.parametrize("command", [["prune"], ["clear", "--yes"]])
def test_upstream_24_a_folder_without_our_tag_is_left_alone(
    command_line: CommandLine, user_folders: UserFolders, command: list[str]
) -> None:
    """scikit-build-core #1400: ASCEND_OPS_CACHE_DIR names the user's own folder, by mistake."""
    source = user_folders.cache / "src" / "precious.cpp"
    source.parent.mkdir(parents=True)
    source.write_bytes(b"")
    done = command_line("cache", *command)
    assert done.status == 1
    assert "nothing in it was deleted" in done.err
    assert source.is_file()


def test_pack_and_unpack(command_line: CommandLine, outside_op: OutsideOp, tmp_path: Path) -> None:
    entry = outside_op.publish()
    file = tmp_path / "ops.tar.gz"
    packed = command_line("cache", "pack", file, "--json").json
    assert packed["archive"] == str(file)
    assert [found["path"] for found in packed["entries"]] == [str(entry.path)]
    assert command_line("cache", "clear", "--yes").status == 0
    assert not entry.path.exists()
    added = command_line("cache", "unpack", file, "--json").json
    assert [found["path"] for found in added["added"]] == [str(entry.path)]
    assert added["present"] == []
    assert command_line("cache", "explain", "made_up", "--json").json["hit"] == str(entry.path)
    done = command_line("cache", "unpack", file)
    assert done.text.startswith("0 entries added, 1 already present: ")


def test_upstream_20_unpack_for_a_site(
    command_line: CommandLine,
    outside_op: OutsideOp,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """DeepSpeed #2947: filled once, read by every machine."""
    outside_op.publish()
    file, site = tmp_path / "ops.tar.gz", tmp_path / "a site"
    assert command_line("cache", "pack", file, "made_up").status == 0
    monkeypatch.chdir(tmp_path)
    assert command_line("cache", "unpack", file, "--site", "a site").status == 0
    assert command_line("cache", "clear", "-y").status == 0
    monkeypatch.setenv("ASCEND_OPS_SITE_CACHE_DIR", str(site))
    monkeypatch.setenv("ASCEND_OPS_JIT", "0")
    ops = {op["op"]: op for op in command_line("report", "--json").json["ops"]}
    assert ops["made_up"]["state"] == "cached"
    assert ops["made_up"]["library"].startswith(str(site))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pack", "{0}/ops.tar.gz", "no_such_op"], "no no_such_op in "),
        (["pack", "{0}/ops.tar.gz", "made_up", "no_such_op"], "no no_such_op in "),
        (["pack", "{0}/no/such/folder/ops.tar.gz"], "cannot be written"),
        (["unpack", "{0}/gone.tar.gz"], "No such file"),
        (["unpack", "{0}/sources/a.cpp"], "cannot be unpacked"),
    ],
)
def test_what_cannot_be_packed_or_unpacked_is_an_error(
    command_line: CommandLine,
    outside_op: OutsideOp,
    tmp_path: Path,
    arguments: list[str],
    message: str,
) -> None:
    outside_op.publish()
    done = command_line("cache", *(argument.format(tmp_path) for argument in arguments))
    assert (done.status, done.out) == (1, "")
    assert message in done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "ops.tar.gz").exists()


def test_packing_an_empty_cache_is_an_error_with_advice(
    command_line: CommandLine, tmp_path: Path
) -> None:
    done = command_line("cache", "pack", tmp_path / "ops.tar.gz")
    assert done.status == 1
    assert "nothing to pack" in done.err
    assert "ascend-ops build" in done.err


def test_clear_prompts_for_confirmation_on_standard_error(
    command_line: CommandLine, outside_op: OutsideOp, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = outside_op.publish()
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    done = command_line("cache", "clear", "--json")
    assert (done.status, done.out.strip()) == (1, "")
    assert f"Delete everything in {outside_op.layer.root}?" in done.err
    assert entry.path.exists()
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert command_line("cache", "clear", "--json").json == {"cleared": str(outside_op.layer.root)}
    assert not entry.path.exists()


def test_a_cache_that_only_report_created_can_be_cleared(
    command_line: CommandLine, outside_op: OutsideOp
) -> None:
    assert command_line("cache", "clear", "--yes").status == 0
    assert command_line("report").status == 0
    assert command_line("cache", "clear", "--yes").status == 0


def test_brackets_in_a_path_are_not_markup(
    command_line: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "a[bold]b[" / "c\\[d"
    monkeypatch.setenv("ASCEND_OPS_CACHE_DIR", str(folder))
    assert command_line("cache", "clear", "--yes").text == f"cleared {folder}"
    assert str(folder) in command_line("cache", "pack", tmp_path / "x.tar.gz").err
    assert str(folder) in command_line("report").out

"""What the command line shows of the remote cache: report, cache explain, build."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from command_line import CommandLine
from outside_op import OutsideOp
from remote_stores import served

from op_builder.remote.push import Pusher

pytest.importorskip("fsspec", reason="fsspec is not installed")


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    found = f"file://{tmp_path}/remote"
    monkeypatch.setenv("ASCEND_OPS_REMOTE_CACHE", found)
    monkeypatch.setenv("ASCEND_OPS_REMOTE_TIMEOUT", "600")
    return found


def _push(outside_op: OutsideOp, url: str) -> Path:
    """Push an entry and delete it; return its folder."""
    entry = outside_op.publish()
    assert Pusher(url, None).push(entry).outcome == "pushed"
    shutil.rmtree(outside_op.layer.root)
    return entry.path


def test_report_lists_it_as_the_last_layer(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its URL is shown without the password, and it is not contacted."""
    monkeypatch.setenv("ASCEND_OPS_REMOTE_CACHE", "https://me:secret@no.such.host/ops")
    places = command_line("report", "--json").json["places"]
    assert [place["name"] for place in places][-2:] == ["remote", "locks"]
    assert places[-2]["path"] == "https://no.such.host/ops"
    assert places[-2]["state"] == "read-only, any entry"
    monkeypatch.setenv("ASCEND_OPS_REMOTE_KEYS", "release.key.pub")
    places = command_line("report", "--json").json["places"]
    assert places[-2]["state"] == "read-only, signed entries"


def test_build_names_what_it_downloaded(
    command_line: CommandLine, outside_op: OutsideOp, url: str
) -> None:
    path = _push(outside_op, url)
    for outcome in ("downloaded", "cached"):
        (result,) = command_line("build", "made_up", "--json").json["ops"]
        assert result["outcome"] == outcome
        assert Path(result["library"]).parent == path
    assert command_line("cache", "explain", "made_up", "--json").json["origin"] == {
        "url": url,
        "signed_by": None,
    }
    assert f"downloaded from {url}, unsigned" in command_line("cache", "explain", "made_up").text


def test_explain_a_miss(command_line: CommandLine, outside_op: OutsideOp, url: str) -> None:
    assert command_line("cache", "explain", "made_up", "--json").json["remote"] == {
        "url": url,
        "builds": 0,
        "others": 0,
        "problem": None,
    }
    path = _push(outside_op, url)
    remote = command_line("cache", "explain", "made_up", "--json").json["remote"]
    assert (remote["builds"], remote["others"]) == (1, 0)
    assert (
        f"{url} lists 1 build(s) with this key" in command_line("cache", "explain", "made_up").text
    )
    assert not path.exists()
    (outside_op.source / "a.cpp").write_text("// another\n", encoding="utf-8")
    remote = command_line("cache", "explain", "made_up", "--json").json["remote"]
    assert (remote["builds"], remote["others"]) == (0, 0)


def test_explain_a_server_that_fails(
    command_line: CommandLine,
    outside_op: OutsideOp,
    tmp_path: Path,
    url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("aiohttp", reason="aiohttp is not installed")
    with served(tmp_path, "fail") as (broken, _):
        monkeypatch.setenv("ASCEND_OPS_REMOTE_CACHE", broken)
        done = command_line("cache", "explain", "made_up", "--json")
        assert (done.status, done.json["hit"]) == (0, None)
        assert "503" in done.json["remote"]["problem"]
        assert f"{broken} cannot be used" in command_line("cache", "explain", "made_up").text

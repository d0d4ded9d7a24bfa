"""What is removed from a bundle, and what is not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ascend_ops.doctor.redaction import REMOVED, is_secret, redact

HOME = Path("/home/alice")


def redacted(text: str, **environ: str) -> str:
    return redact(text, environ, HOME, "node-17")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/home/alice/models/x", "~/models/x"),
        ("HOME=/home/alice", "HOME=~"),
        ("/home/alice2/x", "/home/<user>/x"),
        ("/home/bob/x:/usr/lib", "/home/<user>/x:/usr/lib"),
        ("ran on node-17.", "ran on <host>."),
        ("node-170 is another", "node-170 is another"),
        ("https://alice:pw@pypi.example/simple", f"https://{REMOVED}@pypi.example/simple"),
        ("s3://key:secret@bucket/x", f"s3://{REMOVED}@bucket/x"),
        (
            "https://h/x?a=1&X-Amz-Signature=abc&b=2",
            f"https://h/x?a=1&X-Amz-Signature={REMOVED}&b=2",
        ),
        ("Authorization: Bearer abcdefgh12345", f"Authorization: Bearer {REMOVED}"),
        ("token hf_0123456789abcdefghij", f"token {REMOVED}"),
        ("ghp_0123456789abcdefghijABCDEFGHIJ", REMOVED),
        ("key AKIA0123456789ABCDEF", f"key {REMOVED}"),
        ("eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.c2lnbmF0dXJl", REMOVED),
        ("password=hunter2", f"password={REMOVED}"),
        ("mail a.b@example.com", "mail <email>"),
        ("-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----", REMOVED),
    ],
)
def test_what_is_removed(text: str, expected: str) -> None:
    assert redacted(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "CANN 8.3.RC2, innerversion=V100R001C23SPC002B210, 7.6.0.1.220",
        "/usr/local/Ascend/cann-9.1.0/lib64/libascendcl.so",
        "undefined symbol: _ZN3c105ErrorC1ENSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE",
        "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "g++ -O3 -march=x86-64-v3 -o op.so",
    ],
)
def test_what_remains(text: str) -> None:
    assert redacted(text) == text


@pytest.mark.parametrize("name", ["HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "MY_PASSWORD", "API_KEY"])
def test_values_of_secret_variables_are_removed_everywhere(name: str) -> None:
    assert (
        redacted("it printed s3cr3t-value!", **{name: "s3cr3t-value"}) == f"it printed {REMOVED}!"
    )


@pytest.mark.parametrize("name", ["PATH", "LD_LIBRARY_PATH", "ASCEND_HOME_PATH", "CXX", "MAX_JOBS"])
def test_names_that_are_not_secret(name: str) -> None:
    assert not is_secret(name)


def test_the_names_of_the_user_are_removed() -> None:
    assert redacted("owned by alice, not by alicent", USER="alice") == (
        "owned by <user>, not by alicent"
    )


def test_both_spellings_of_a_home_are_removed(tmp_path: Path) -> None:
    real = tmp_path / "disk" / "carol"
    real.mkdir(parents=True)
    link = tmp_path / "home"
    link.symlink_to(real)
    text = f"{link}/a {os.path.realpath(real)}/b"
    assert redact(text, {}, link) == "~/a ~/b"


@given(secret=st.text(st.characters(codec="utf-8"), min_size=6), around=st.text())
def test_no_value_of_a_secret_variable_survives(secret: str, around: str) -> None:
    """Whatever the value is, and whatever is around it."""
    text = redact(f"{around}{secret}{around}", {"A_TOKEN": secret}, HOME)
    assert secret not in text or secret in REMOVED or secret in around or secret in "<email>"

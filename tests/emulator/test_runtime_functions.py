"""AscendCL's runtime functions: all that the headers declare are exported, refused or listed."""

from __future__ import annotations

import ctypes
import re
import subprocess

import pytest

from ascend_ops.emulator import emulated_cann
from op_builder.ops.emulator import ACL_HEADERS
from op_builder.ops.own_op import OwnOp
from op_builder.toolchain.torch_install import find_torch_npu

pytestmark = pytest.mark.skipif(find_torch_npu() is None, reason="torch_npu is not installed")
TABLE = OwnOp().source_root() / "emulator" / "runtime" / "api" / "refused_functions.inc"
NOT_SUPPORTED = 207000


def declared() -> set[str]:
    package = find_torch_npu()
    assert package is not None
    found = set()
    for header in (package.root / ACL_HEADERS / "acl").rglob("*.h"):
        text = re.sub(r"/\*.*?\*/|//[^\n]*", "", header.read_text(encoding="utf-8"), flags=re.S)
        found |= set(
            re.findall(r"(?:ACL_FUNC_VISIBILITY|MSVP_PROF_API)[^;({]*?\b(acl\w+)\s*\(", text)
        )
    return found


def exported(*libraries: str) -> set[str]:
    found = set()
    for library in libraries:
        command = ["nm", "-D", "--defined-only", str(emulated_cann().library_dir / library)]
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        found |= {line.split()[-1] for line in listed.splitlines()}
    return found


def rows(kind: str) -> dict[str, str]:
    """Return the last parameter of each row by the one before it."""
    text = TABLE.read_text(encoding="utf-8")
    return dict(re.findall(rf"^{kind}\((?:[\w*]+, )?(\w+), (\w+)\)$", text, re.M))


def test_every_declared_function_is_emulated_refused_or_listed_as_absent():
    absent = set(rows("ABSENT"))
    found = exported("libascendcl.so", "libacl_op_compiler.so")
    assert sorted(declared() - found - absent) == []
    assert sorted(absent & exported("libascendcl.so")) == []
    assert sorted(set(rows("REFUSED")) - exported("libascendcl.so")) == []


def test_every_row_has_a_reason_that_is_used():
    reasons = dict(
        re.findall(r'^REASON\((\w+), "(.+)"\)$', TABLE.read_text(encoding="utf-8"), re.M)
    )
    assert {*rows("REFUSED").values(), *rows("ABSENT").values()} == set(reasons)


def test_a_refused_function_prints_its_reason_and_returns_a_code_or_null():
    library = ctypes.CDLL(str(emulated_cann().library_dir / "libascendcl.so"))
    library.aclGetRecentErrMsg.restype = ctypes.c_char_p
    assert library.aclrtBinaryGetGlobal() == NOT_SUPPORTED
    message = library.aclGetRecentErrMsg().decode()
    assert "aclrtBinaryGetGlobal: not emulated: code that was compiled for a device" in message
    library.aclmdlCreateDesc.restype = ctypes.c_void_p
    assert library.aclmdlCreateDesc() is None

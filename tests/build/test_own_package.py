"""docs/own-package.md: its files, with a kernel, are a package whose op this project knows."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from sandbox import Sandbox
from tutorials import write_files


def test_the_package_of_the_page_registers_its_op(sandbox: Sandbox, tmp_path: Path) -> None:
    package, site = tmp_path / "package", tmp_path / "site"
    (package / "my_ops").mkdir(parents=True)
    assert write_files("../own-package.md", package) == ["pyproject.toml", "builders.py"]
    (package / "builders.py").rename(package / "my_ops" / "builders.py")
    (package / "my_ops" / "__init__.py").touch()
    write_files("aclnn-op.md", package / "my_ops")
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", *offline, "--target", site, package],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(sandbox.run_cli("report", "--json", PYTHONPATH=str(site)))
    found = {op["op"]: (op["state"], op["origin"]) for op in report["ops"]}
    assert found["axpy"] == ("buildable", "my_ops.builders")
    assert sandbox.compiles == 0

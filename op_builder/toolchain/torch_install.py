"""Where torch and torch_npu are installed, and which versions, without importing them.

With torch_npu installed and CANN not sourced even ``import torch`` fails (it autoloads backends),
so a build that imported them could not run on the machine that builds an image.
"""

from __future__ import annotations

import importlib.util
import re
import site
import sys
from dataclasses import dataclass
from pathlib import Path

_ASSIGNMENT = re.compile(r"^(__version__|git_version)\b[^=]*=\s*['\"]([^'\"]+)['\"]", re.MULTILINE)


@dataclass(frozen=True)
class PackageInstall:
    """An installed package of headers and libraries.

    ``root`` is its folder, ``version`` its version as it prints it (``2.13.0+cpu``), ``revision``
    the commit it was built from, "" where it does not say.
    """

    root: Path
    version: str
    revision: str

    @property
    def release(self) -> tuple[int, ...]:
        """The numbers that ``version`` begins with: ``2.13.0+cpu`` gives (2, 13, 0)."""
        numbers = re.match(r"\d+(?:\.\d+)*", self.version)
        return tuple(int(part) for part in numbers.group().split(".")) if numbers else ()

    @property
    def library_dir(self) -> Path:
        """The folder for ``-L``."""
        return self.root / "lib"

    def uses_cxx11_abi(self) -> bool:
        """Whether its C++ libraries use the C++11 ABI, told from the symbols of ``libc10``.

        Guessing the flag gave undefined symbols at load time (vllm-ascend #1249, #1144).
        """
        return b"__cxx11" in (self.library_dir / "libc10.so").read_bytes()


def find_torch() -> PackageInstall | None:
    """The torch this process imports or would import; None where there is none."""
    return find_package("torch")


def find_torch_npu() -> PackageInstall | None:
    """The torch_npu this process would import; None where there is none."""
    return find_package("torch_npu")


def find_package(name: str) -> PackageInstall | None:
    """The install of a package that keeps its version in ``version.py``; None where it is not."""
    root = _package_root(name)
    if root is None:
        return None
    try:
        text = (root / "version.py").read_text(encoding="utf-8")
    except OSError:
        return None
    found = dict(_ASSIGNMENT.findall(text))
    return PackageInstall(root, found.get("__version__", "unknown"), found.get("git_version", ""))


_roots: dict[tuple[str, ...], Path] = {}


def _package_root(name: str) -> Path | None:
    """Looked for once for each state of sys.path: a build asks for torch and torch_npu often."""
    loaded = sys.modules.get(name)
    if loaded is not None and getattr(loaded, "__file__", None):
        return Path(str(loaded.__file__)).parent
    asked = (name, *sys.path)
    root = _roots.get(asked) or _look_for(name)
    if root is not None:  # one that is not there may come
        _roots[asked] = root
    return root


def _look_for(name: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        spec = None
    if spec is not None and spec.origin:
        return Path(spec.origin).parent
    # pip's isolated build hides site-packages from sys.path, but it is the same interpreter's.
    # (site knows the folders; sysconfig takes 2 ms to wake up, a third of a cache hit.)
    for folder in site.getsitepackages():
        root = Path(folder, name)
        if (root / "version.py").is_file():
            return root
    return None

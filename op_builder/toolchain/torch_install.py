"""The install folders and versions of torch and torch_npu, found without importing them.

If torch_npu is installed and CANN is not sourced, even ``import torch`` fails, because torch loads
its backends by itself. A build that imported them could not run on a machine that builds images.
"""

from __future__ import annotations

import importlib.util
import itertools
import site
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..lazy_dataclass import dataclass


@dataclass(frozen=True)
class PackageInstall:
    """An installed package of headers and libraries.

    ``root`` is its folder, ``version`` the version as the package prints it (``2.13.0+cpu``),
    ``revision`` the commit that it was built from, or "" if unknown.
    """

    root: Path
    version: str
    revision: str

    @property
    def release(self) -> tuple[int, ...]:
        """The leading numbers of ``version``: ``2.13.0+cpu`` gives (2, 13, 0)."""
        leading = itertools.takewhile("0123456789.".__contains__, self.version)
        return tuple(int(part) for part in "".join(leading).split(".") if part)

    @property
    def library_dir(self) -> Path:
        """The folder for ``-L``."""
        return self.root / "lib"

    def uses_cxx11_abi(self) -> bool:
        """Return whether its C++ libraries use the C++11 ABI, from the symbols of ``libc10``.

        A guessed flag gives undefined symbols at load time (vllm-ascend #1249, #1144).
        """
        return b"__cxx11" in (self.library_dir / "libc10.so").read_bytes()


def find_torch() -> PackageInstall | None:
    """Return the torch that this process has imported or would import; None if not installed."""
    return find_package("torch")


def find_torch_npu() -> PackageInstall | None:
    """Return the torch_npu that this process would import; None if not installed."""
    return find_package("torch_npu")


def find_package(name: str, folders: Iterable[str] | None = None) -> PackageInstall | None:
    """Return the install of a package that keeps its version in ``version.py``, or None.

    Args:
        name: The package.
        folders: Where to search, as in ``sys.path``; by default where this process would.
    """
    if folders is None:
        root = _package_root(name)
    else:
        roots = (Path(folder, name) for folder in folders if folder)
        root = next((root for root in roots if (root / "version.py").is_file()), None)
    if root is None:
        return None
    try:
        text = (root / "version.py").read_text(encoding="utf-8")
    except OSError:
        return None
    found = dict(_assignments(text))
    return PackageInstall(root, found.get("__version__", "unknown"), found.get("git_version", ""))


def _assignments(text: str) -> Iterator[tuple[str, str]]:
    """Yield the names and values of the strings that a module assigns, each on one line."""
    for line in text.splitlines():
        target, _, value = line.partition("=")
        value = value.strip()
        if value[:1] in ("'", '"'):
            yield target.partition(":")[0].strip(), value[1:].partition(value[0])[0]


_roots: dict[tuple[str, ...], Path] = {}


def _package_root(name: str) -> Path | None:
    """Return a package's folder, memoized per state of sys.path: a build needs it often."""
    loaded = sys.modules.get(name)
    if loaded is not None and getattr(loaded, "__file__", None):
        return Path(str(loaded.__file__)).parent
    key = (name, *sys.path)
    root = _roots.get(key) or _search(name)
    if root is not None:  # a missing package may be installed later
        _roots[key] = root
    return root


def _search(name: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        spec = None
    if spec is not None and spec.origin:
        return Path(spec.origin).parent
    # pip's isolated build hides site-packages from sys.path, but it is the same interpreter's.
    # (From site and not sysconfig, whose first use takes 2 ms, a third of a cache hit.)
    for folder in site.getsitepackages():
        root = Path(folder, name)
        if (root / "version.py").is_file():
            return root
    return None

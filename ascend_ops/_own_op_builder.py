"""Import this project's op_builder, even if another package of that name comes first on sys.path.

DeepSpeed's checkout has an ``op_builder`` too, and its tests put that one first. Both must work in
one process: ``op_builder`` stays DeepSpeed's, and ascend_ops imports its own as
``ascend_ops._op_builder``.
"""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType

_NAME = "op_builder"
_PRIVATE_NAME = "ascend_ops._op_builder"


def import_own() -> ModuleType:
    """Return the op_builder in the folder that contains ascend_ops, importing it if necessary.

    Raises:
        ImportError: That folder has no op_builder.
    """
    visible = _visible_file()
    own = _own_file(visible)
    if visible == own or os.path.realpath(visible or "") == os.path.realpath(own):
        return importlib.import_module(_NAME)
    import logging

    from ._op_builder_finder import OwnOpBuilderFinder

    name = _NAME if visible is None else _PRIVATE_NAME
    sys.meta_path.insert(0, OwnOpBuilderFinder(name, own))
    logging.getLogger(__name__).info("%s is imported as %s; op_builder is %s", own, name, visible)
    return importlib.import_module(name)


def _visible_file() -> str | None:
    """Return the file or folder that ``import op_builder`` would load, or None."""
    module = sys.modules.get(_NAME)
    if module is not None:
        return getattr(module, "__file__", None) or repr(module)
    for finder in sys.meta_path:
        spec = finder.find_spec(_NAME, None)
        if spec is not None:
            return spec.origin or ", ".join(spec.submodule_search_locations or ())
    return None


def _own_file(visible: str | None) -> str:
    folders = [os.path.dirname(os.path.dirname(f)) for f in (__file__, os.path.realpath(__file__))]
    files = [os.path.join(folder, _NAME, "__init__.py") for folder in dict.fromkeys(folders)]
    own = next(filter(os.path.isfile, files), None)
    if own is not None:
        return own
    other = "is not installed" if visible is None else f"is another package: {visible}"
    raise ImportError(
        f"ascend_ops requires its own op_builder, but found no {' or '.join(files)}, and "
        f"op_builder {other}. Install both packages into one folder, for example with "
        "`pip install --force-reinstall ascend_ops`",
        name=_NAME,
    )

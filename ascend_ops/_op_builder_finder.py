"""Import hooks for a process in which ``op_builder`` is not this project's, or is not on sys.path.

Imported in such a process only: see ``_own_op_builder``.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from types import CodeType, ModuleType


class OwnOpBuilderFinder:
    """Finds this project's op_builder, and compiles modules of ascend_ops to import it.

    ``name`` is what op_builder is imported as. If that is not ``op_builder``, ascend_ops's
    statements ``from op_builder... import ...`` are renamed when its modules are loaded.
    """

    def __init__(self, name: str, file: str) -> None:
        self.name = name
        self.file = file

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of op_builder or of a module whose imports are renamed, else None."""
        if name == self.name:
            return spec_from_file_location(name, self.file)
        ours = name.startswith("ascend_ops.") and not name.startswith(f"{self.name}.")
        if self.name == "op_builder" or not ours:
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        specs = (finder.find_spec(name, path, target) for finder in others)
        spec = next((spec for spec in specs if spec is not None), None)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _RenamingLoader(self.name, name, spec.loader.path)
        return spec


class _RenamingLoader(SourceFileLoader):
    """Compiles a module whenever it is loaded: in cached bytecode op_builder has its usual name."""

    def __init__(self, op_builder: str, name: str, path: str) -> None:
        super().__init__(name, path)
        self.op_builder = op_builder

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        tree = ast.parse(self.get_data(path), path)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                package, dot, module = node.module.partition(".")
                if package == "op_builder":
                    node.module = f"{self.op_builder}{dot}{module}"
        code: CodeType = compile(tree, path, "exec", dont_inherit=True)
        return code

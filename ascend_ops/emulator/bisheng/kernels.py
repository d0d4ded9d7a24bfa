"""Finds out on which cores the kernels of a source run, as the device's compiler does."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from .launches import tokens_of

# What KERNEL_TASK_TYPE_DEFAULT may name, and the launch's type in aicore::KernelType.
_TASK_TYPES = {
    "KERNEL_TYPE_AIV_ONLY": "vector",
    "KERNEL_TYPE_AIC_ONLY": "cube",
    "KERNEL_TYPE_MIX_AIV_1_0": "vector",
    "KERNEL_TYPE_MIX_AIC_1_0": "cube",
    "KERNEL_TYPE_MIX_AIC_1_1": "mix_1_1",
    "KERNEL_TYPE_MIX_AIC_1_2": "mix_1_2",
}
_CUBE = frozenset(
    [
        "Mmad",
        "LoadData",
        "LoadDataWithTranspose",
        "Fixpipe",
        "Matmul",
        "MatmulImpl",
        "REGIST_MATMUL_OBJ",
        "ASCEND_IS_AIC",
        "CO1",
        "A1",
        "B1",
        "A2",
        "B2",
        "mad",
    ]
)
# A vector core that uses a Matmul object sends its work to the cube core of its block, so such a
# kernel runs on both, unless it is written for the cube core alone.
_MATMUL_OBJECTS = frozenset(["REGIST_MATMUL_OBJ", "REGIST_CUBE_OBJ"])
_VECTOR = frozenset(["VECIN", "VECOUT", "VECCALC", "TBuf", "ASCEND_IS_AIV", "UB"])
_KERNEL = re.compile(
    r"__global__(?P<attributes>[^;{}()]*(?:__mix__\s*\(\s*\d\s*,\s*\d\s*\)[^;{}()]*)?)"
    r"\b(?P<name>\w+)\s*\("
)
_TASK_TYPE = re.compile(r"KERNEL_TASK_TYPE_DEFAULT\s*\(\s*(\w+)\s*\)")
_MIX = re.compile(r"__mix__\s*\(\s*1\s*,\s*([12])\s*\)")
_DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.MULTILINE)


@dataclass(frozen=True)
class Kernels:
    """The kernels of a source.

    Attributes:
        types: The enumerator of ``aicore::KernelType`` by the name of the kernel.
        default: That of a kernel whose name is not known, for example one that a macro makes.
        cores: 0 if all run on vector cores, 1 if all run on cube cores, else 2.
    """

    types: dict[str, str]
    default: str
    cores: int

    def only_on(self, cores: int) -> Kernels:
        """Return these kernels as the pass over the code of one kind of core compiles them.

        Example:
            >>> from ascend_ops.emulator.bisheng.kernels import Kernels
            >>> Kernels({"add": "mix_1_2"}, "mix_1_2", 2).only_on(1)
            Kernels(types={'add': 'cube'}, default='cube', cores=1)
        """
        kind = "cube" if cores else "vector"
        return Kernels(dict.fromkeys(self.types, kind), kind, cores)


def find_kernels(texts: Iterable[str]) -> Kernels:
    """Return the kernels of a source and of the headers that it includes.

    Example:
        >>> from ascend_ops.emulator.bisheng.kernels import find_kernels
        >>> find_kernels(["extern __global__ __cube__ void product(GM_ADDR a) {}"]).types
        {'product': 'cube'}
    """
    code = ["".join(t for t in tokens_of(text) if not t.startswith(("//", "/*"))) for text in texts]
    words = set(re.findall(r"\w+", " ".join(code)))
    uses_cube, uses_vector = not words.isdisjoint(_CUBE), not words.isdisjoint(_VECTOR)
    if not words.isdisjoint(_MATMUL_OBJECTS) and "ASCENDC_CUBE_ONLY" not in words:
        uses_vector = True
    default = "vector" if not uses_cube else "mix_1_2" if uses_vector else "cube"
    types: dict[str, str] = {}
    for text in code:
        matches = list(_KERNEL.finditer(text))
        for index, match in enumerate(matches):
            following = matches[index + 1].start() if index + 1 < len(matches) else len(text)
            body = text[match.end() : following]
            types[match["name"]] = _type_of(match["attributes"], body, default)
    used = {*types.values()} or {default}
    cores = 0 if used == {"vector"} else 1 if used == {"cube"} else 2
    return Kernels(types, default, cores)


def entry_points(text: str) -> list[str]:
    """Return the qualified names of the kernels that ``text`` defines, except templates.

    Example:
        >>> from ascend_ops.emulator.bisheng.kernels import entry_points
        >>> entry_points("namespace ops { __global__ void add(int n) { } }")
        ['ops::add']
    """
    return list(dict.fromkeys(name for name, _ in kernel_definitions(text)))


def kernel_definitions(text: str) -> list[tuple[str, str]]:
    """Return the qualified names of the kernels that ``text`` defines, with their declarations.

    Example:
        >>> from ascend_ops.emulator.bisheng.kernels import kernel_definitions
        >>> kernel_definitions("__global__ void add(int n) { }")
        [('add', '__global__ void add ( int n )')]
    """
    found: list[tuple[str, str]] = []
    scopes: list[str | None] = []  # names of namespaces; None for other braces
    statement: list[str] = []
    for part in tokens_of(_DIRECTIVE.sub("", text)):
        if part.isspace() or part.startswith(("//", "/*")):
            continue
        if part == "{":
            declaration = " ".join(statement)
            name = _defined_kernel(declaration)
            if name and "template" not in statement and None not in scopes:
                qualified = "::".join([*(scope for scope in scopes if scope), name])
                found.append((qualified, declaration))
            scopes.append(_scope_name(statement))
            statement = []
        elif part in ("}", ";"):
            if part == "}" and scopes:
                scopes.pop()
            statement = []
        else:
            statement.append(part)
    return found


def _defined_kernel(declaration: str) -> str:
    match = _KERNEL.search(declaration)
    return "" if match is None else match["name"]


def _scope_name(statement: list[str]) -> str | None:
    """Return the namespace that a brace opens, "" if it opens none but is transparent, or None."""
    words = statement[1:] if statement[:1] == ["inline"] else statement
    if words[:1] == ["namespace"]:
        return "".join(words[1:])
    return "" if statement[:1] == ["extern"] and len(statement) == 2 else None


def _type_of(attributes: str, body: str, default: str) -> str:
    mix = _MIX.search(attributes)
    if mix:
        return f"mix_1_{mix[1]}"
    for word, kind in (("__vector__", "vector"), ("__cube__", "cube")):
        if word in attributes:
            return kind
    declared = _TASK_TYPE.search(body)
    return _TASK_TYPES.get(declared[1], default) if declared else default

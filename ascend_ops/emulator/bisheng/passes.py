"""Sources whose code for vector and cube cores differs by macros are compiled once for each.

The device's compiler makes a pass over the code of each kind of core and keeps the results apart.
Here the object of the cube cores' pass gets other symbols, is never called at the start of a
program, and is linked with that of the vector cores' pass, which also has the host's code. A table
names the functions of both that run the same launch.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from op_builder.system import file_identity, process

from .command_line import UsageError

_MACRO = re.compile(r"\b__DAV_(?:\w+_)?(?:VEC|CUBE)__\b")
# aicore::BoundKernel<...>::call(const aicore::KernelLaunch&), which runs a launch on a core.
_RUNNER = re.compile(r"_ZN6aicore11BoundKernelI\w+E4callERKNS_12KernelLaunchE")
_PREFIX = "ascendc_cube_pass_"
_TOOLS = ("nm", "objcopy")
_TABLE = """#include "ascendc/kernel_launch.h"
extern "C" {{
{declarations}}}
[[maybe_unused]] static const bool added = ::aicore::add_cube_passes({{
{rows}}});
"""
_ROW = "    {{&ascendc_pass_{number}_vector, &ascendc_pass_{number}_cube}},\n"
_DECLARATION = (
    'void ascendc_pass_{number}_{core}(const ::aicore::KernelLaunch&) __asm__("{symbol}");\n'
)
# Flags about the list of headers, which the first pass writes, with and without a value.
_LISTS = frozenset(["-MD", "-MMD", "-MP", "-MG"])
_LISTS_TO = frozenset(["-MF", "-MT", "-MQ"])


def differ(texts: Iterable[str]) -> bool:
    """Return whether the passes over a source and its headers may differ.

    Example:
        >>> from ascend_ops.emulator.bisheng.passes import differ
        >>> differ(["#ifdef __DAV_C220_CUBE__"]), differ(["if ASCEND_IS_AIC { }"])
        (True, False)
    """
    return any(_MACRO.search(text) for text in texts)


def without_lists(flags: Sequence[str]) -> list[str]:
    """Return the flags without those that write a list of headers.

    Example:
        >>> from ascend_ops.emulator.bisheng.passes import without_lists
        >>> without_lists(["-O2", "-MD", "-MF", "kernel.d"])
        ['-O2']
    """
    kept: list[str] = []
    iterator = iter(flags)
    for flag in iterator:
        if flag in _LISTS_TO:
            next(iterator, None)
        elif flag not in _LISTS:
            kept.append(flag)
    return kept


def link_passes(
    run: Callable[[Sequence[str]], int],
    compile_table: Sequence[str],
    vector: Path,
    cube: Path,
    output: Path,
) -> int:
    """Link the objects of the passes into ``output``. Returns the compiler's exit code.

    Args:
        run: Runs the compiler and returns its exit code.
        compile_table: The compiler with the flags for a source that includes CANN's headers.
        vector: The object of the vector cores' pass, with the host's code.
        cube: That of the cube cores' pass.
        output: The object to write.

    Raises:
        UsageError: nm or objcopy is not on PATH.
        CommandError: One of them fails.
    """
    nm, objcopy = _tools()
    own = file_identity.digest_file(str(vector))[:16]
    in_vector, in_cube = _defined(nm, vector), _defined(nm, cube)
    runners = [name for name in in_vector if name in in_cube and _RUNNER.fullmatch(name)]
    of_vector = {name: f"{_PREFIX}{own}_of_{name}" for name in runners if in_vector[name]}
    of_cube = {
        name: f"{_PREFIX}{own if is_local else ''}_{name}"
        for name, is_local in in_cube.items()
        if not is_local or name in runners
    }
    _rename(objcopy, vector, of_vector)
    _rename(objcopy, cube, of_cube)
    process.run([objcopy, "--remove-section=.init_array", "--remove-section=.ctors", str(cube)])
    pairs = [(of_vector.get(name, name), of_cube[name]) for name in runners]
    table = cube.with_suffix(".table.cpp")
    table.write_text(_table(pairs), encoding="utf-8")
    compiled = str(table.with_suffix(".o"))
    together = [compile_table[0], "-r", "-nostdlib", str(vector), str(cube), compiled]
    return run([*compile_table, "-c", str(table), "-o", compiled]) or run(
        [*together, "-o", str(output)]
    )


def _tools() -> list[str]:
    found = [shutil.which(name) for name in _TOOLS]
    for name, path in zip(_TOOLS, found, strict=True):
        if path is None:
            raise UsageError(
                f"error: {name} must be on PATH, since the source has code of its own for the "
                "passes over vector and cube cores. Install it: apt-get install binutils"
            )
    return [path for path in found if path is not None]


def _defined(nm: str, file: Path) -> dict[str, bool]:
    """Return the symbols that an object defines, and whether each is local to it."""
    found = {}
    for line in process.run([nm, "--defined-only", "--format=posix", str(file)]).splitlines():
        name, kind = line.split(" ")[:2]
        found[name] = kind.islower() and kind not in "uvw"  # these are unique or weak
    return found


def _rename(objcopy: str, file: Path, names: Mapping[str, str]) -> None:
    """Give symbols other names, and let other objects see them."""
    if not names:
        return
    renamed, visible = file.with_suffix(".renamed"), file.with_suffix(".visible")
    renamed.write_text("".join(f"{old} {new}\n" for old, new in names.items()), encoding="utf-8")
    visible.write_text("".join(f"{new}\n" for new in names.values()), encoding="utf-8")
    process.run([objcopy, f"--redefine-syms={renamed}", str(file)])
    process.run([objcopy, f"--globalize-symbols={visible}", str(file)])


def _table(pairs: Sequence[tuple[str, str]]) -> str:
    """Return the source of the table of the functions that run a launch, by pass."""
    declarations = rows = ""
    for number, pair in enumerate(pairs):
        for core, symbol in zip(("vector", "cube"), pair, strict=True):
            declarations += _DECLARATION.format(number=number, core=core, symbol=symbol)
        rows += _ROW.format(number=number)
    return _TABLE.format(declarations=declarations, rows=rows)

"""The coverage of the emulated CANN as the page docs/emulator-coverage.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .coverage import STATES, Coverage, counts

COMMAND = "ascend-ops emulate --coverage --output docs/emulator-coverage.md"

_INTRODUCTION = f"""# What the emulated CANN covers

This page is generated. If you add or change an emulated function, write it again:

```sh
{COMMAND}
```

- *emulated*: the function computes what CANN documents. "without" lists the parameters that phase 1
  refuses unless they have their defaults. The last column names the check: an OpInfo entry of torch
  or a test. It is empty if no test names the function.
- *refused*: the function exists, and a call fails with a message.
- *absent*: the library does not have the function, so that torch_npu falls back or reports it.

The dtypes, the formats and other limits that all functions share are in
[emulator.md](emulator.md#limits). A star marks what torch_npu can call itself.
"""
_TITLES = {
    "aclnn": "aclnn functions of CANN's documentation and of torch_npu",
    "aclop": "Single operators (aclop) that torch_npu names",
    "runtime": "Functions of the AscendCL and HCCL headers",
}


def page(found: Mapping[str, Sequence[Coverage]]) -> str:
    """Return the page in Markdown."""
    summary = [
        (_TITLES[kind], str(len(rows)), *map(str, counts(rows).values()))
        for kind, rows in found.items()
    ]
    parts = [_INTRODUCTION, _table(("group", "all", *STATES), summary)]
    for kind, rows in found.items():
        parts.append(f"## {_TITLES[kind]}\n")
        cells = [
            (f"`{row.name}`{' ★' if row.in_torch_npu else ''}", row.state, row.limits, row.check)
            for row in rows
        ]
        parts.append(_table(("name", "state", "limits", "check"), cells))
    return "\n".join(parts)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["--"] * len(columns), *rows]
    return "".join(f"| {' | '.join(map(_escaped, line))} |\n" for line in lines)


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")

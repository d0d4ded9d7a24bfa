"""Phrases to avoid in documentation, comments, docstrings and messages."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("op_builder", "ascend_ops", "benchmarks", "csrc", "docs", "examples", "tests")
FILES = sorted(
    file
    for start, pattern in [(ROOT, "*"), *((ROOT / folder, "**/*") for folder in FOLDERS)]
    for file in start.glob(pattern)
    if file.suffix in (".md", ".py", ".h", ".cpp") and file != Path(__file__).resolve()
)

# What to avoid, and what to write instead. "There is no NPU" and "is no longer" are good English.
_COMPARED = "longer|more|less|fewer|newer|older|later|earlier|better|worse|wider"
PHRASES = {
    rf"(?<![Tt]here )\b(?:is|are|was|were) no (?!{_COMPARED})": "is not a, must be, cannot be",
    r"(?<![Tt]here )\b(?:is|are) none\b": "is not one of",
    r"\bwhere (?:there (?:is|are) (?:no|none|one)|no cache|nobody)\b": "if; where is for places",
    r"\bexpected none\b": "<argument> must be <what>, got <value>",
    r"\ba turn\b|\btakes? (?:its|their) turns?\b|\bin turns\b": "iteration, alternately",
    r"\bcompositions?\b": "reference implementation, fallback",
    r"\bthere are: ": "available ops: ...",
    r"\b(?:bytes|seconds|instructions|parameters|elements|samples|[um]s|[MG]i?B) an? "
    r"(?:second|file|parameter|element|op|call|step|tensor|row|head|core|process)\b": "per",
    r"\b(?:says|said|asks|asked)\b": "reports, states, requests; programs do not speak",
    r"\b[Tt]here (?:is|are) no such\b": "does not exist, lacks, unknown",
    r"\bhas to be\b|\bif it has to\b": "must be, if necessary",
    r"\bsearch(?:es|ing)? (?:programs|libraries|modules|it)\b": "search for",
    r"\bmakes? (?:all|the) (?:of its )?checks\b|\bchecks are made\b": "run checks",
    r"\bfiles? without a name\b": "unnamed file",
    r"\bpains? \d": "the upstream issue, for example DeepSpeed #1886",
}

# The same in the names of tests, whose words "_" joins.
NAMES = r"_(?:says|said|asks|asked|(?:is|are|was|were)_no|is_none|where_there_is)(?:_|$)"


def prose(file: Path) -> Iterator[str]:
    """Yield the texts of a file; each is one line, however it is wrapped or concatenated."""
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".md":
        found = [re.sub(r"^```.*?^```|`[^`]*`", " ", text, flags=re.DOTALL | re.MULTILINE)]
    elif file.suffix == ".py":
        found = list(_python(text))
    else:
        found = re.findall(
            r'(?:\s*//[^\n]*)+|/\*.*?\*/|(?:\s*"(?:\\.|[^"\\\n])*")+', text, re.DOTALL
        )
        found = [re.sub(r'\n\s*//+|"\s*"', "\n", part) for part in found]
    for part in found:
        yield " ".join(part.split())


def _python(text: str) -> Iterator[str]:
    """Join strings that are concatenated, and comments on consecutive lines."""
    middle = getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)
    layout = (tokenize.NL, tokenize.INDENT, tokenize.DEDENT)
    part, kind = "", tokenize.NL
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in (tokenize.STRING, tokenize.COMMENT, middle):
            if token.type != kind:
                yield part
                part = ""
            part += re.sub(r"^#+:?|^[rbfu]*(\"\"\"|\"|')|(\"\"\"|\"|')$", "", token.string) + (
                " " if token.type == tokenize.COMMENT else ""
            )
            kind = token.type
        elif token.type not in layout:
            yield part
            part, kind = "", tokenize.NL
    yield part


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_plain_english(file: Path) -> None:
    found = [
        f"{text[max(0, match.start() - 40) : match.end() + 40]!r}: write {advice}"
        for text in prose(file)
        for phrase, advice in PHRASES.items()
        for match in re.finditer(phrase, text)
    ]
    assert found == []


def test_plain_english_in_the_names_of_tests() -> None:
    found = [
        f"{file.relative_to(ROOT)}: {name}"
        for file in FILES
        for name in re.findall(
            r"^(?:def |TEST\()(\w+)", file.read_text(encoding="utf-8"), re.MULTILINE
        )
        if re.search(NAMES, name)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.py", 'f("this is " \'no \'\n"op")', ["this is no op"]),
        ("a.py", "# one\n# two\nf(1)  # three\n", ["one two", "three"]),
        ("a.h", '// one\n// two\nf("is "\n  "no");', ["// one two", '"is no"']),
        ("a.md", "one\ntwo `code`\n```\nblock\n```\nthree", ["one two three"]),
    ],
)
def test_texts_are_found(tmp_path: Path, name: str, text: str, expected: list[str]) -> None:
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    assert [part for part in prose(file) if part] == expected


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("this is no op", False),
        ("there is no op", True),
        ("it is no longer an op", True),
        ("a library that is none of ours", False),
        ("the field is None", True),
        ("built where there is no cache", False),
        ("28 bytes a parameter", False),
        ("28 bytes per parameter", True),
        ("5 us a call", False),
        ("as the manifest says", False),
        ("Do not ask for confirmation.", True),
        ("there is no such kernel", False),
        ("the op has to be built", False),
    ],
)
def test_phrases(tmp_path: Path, text: str, allowed: bool) -> None:
    assert (not any(re.search(phrase, text) for phrase in PHRASES)) is allowed

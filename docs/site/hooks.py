"""What the site adds to the pages in ``docs``.

- A link to a file outside ``docs``, which GitHub shows, leads to a page with the file's content.
- The API reference: a page per package with the docstring of each of its public names.
"""

from __future__ import annotations

import importlib
import os
import posixpath
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
OUTSIDE = "repository"
_LANGUAGES = {".py": "python", ".cpp": "cpp", ".h": "cpp", ".asc": "cpp", ".toml": "toml"}
_LINK = re.compile(r"(\]\()([^)\s#]+)(#[^)\s]*)?\)")
_FENCED = re.compile(r"^(```+).*?^\1", re.DOTALL | re.MULTILINE)
_ROLE = re.compile(r":(?:class|func|meth|mod|data|attr|math):(?=<code>)")

REFERENCE = {
    "ascend_ops": "What you import from `ascend_ops`, and the modules `ascend_ops.acl` and "
    "`ascend_ops.npu`. `import ascend_ops` does not import torch; a name is imported when you "
    "first use it.",
    "op_builder": "What you import from `op_builder`: the base classes of builders, the builders "
    "of this project's ops, and the registry.",
}
# Public names of modules that packages do not re-export.
MODULES = {
    "ascend_ops": ("ascend_ops.acl", "ascend_ops.npu", "ascend_ops.emulator"),
    "op_builder": ("op_builder.errors", "op_builder.setuptools_command", "op_builder.cross"),
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the API reference, and pages for the files that other pages link to."""
    sys.path.insert(0, str(ROOT))
    for package, introduction in REFERENCE.items():
        content = "\n".join([f"# {package}\n", introduction, "", *_reference(package)])
        files.append(File.generated(config, f"reference/{package}.md", content=content))
    waiting = [Path(file.abs_src_path) for file in files if _is_page_of_docs(file)]
    while waiting:
        page = waiting.pop()
        for target in _linked(page):
            uri = _uri(target)
            if target.is_relative_to(DOCS) or uri in files.src_uris:
                continue
            files.append(File.generated(config, uri, content=_content(target)))
            if target.suffix == ".md":
                waiting.append(target)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let relative links lead to the pages of the site."""
    del config, files
    source = _source(page.file.src_uri)
    if source is None:
        return markdown

    def rewritten(match: re.Match[str]) -> str:
        target = _target(source, match[2])
        if target is None:
            return match[0]
        here = posixpath.dirname(page.file.src_uri)
        return f"{match[1]}{posixpath.relpath(_uri(target), here or '.')}{match[3] or ''})"

    return _outside_of_fences(markdown, rewritten)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Remove Sphinx's roles, which docstrings have before names."""
    del config, files
    return _ROLE.sub("", html) if page.file.src_uri.startswith("reference/") else html


def _reference(package: str) -> Iterator[str]:
    module = importlib.import_module(package)
    for place, names in sorted(module._EXPORTS.items()):
        for name in names:
            if name.isupper():
                continue
            yield f"::: {package}{place}.{name}\n"
    for name in MODULES[package]:
        yield f"::: {name}\n    options:\n      show_root_full_path: true\n"


def _is_page_of_docs(file: File) -> bool:
    return file.is_documentation_page() and file.abs_src_path is not None


def _source(uri: str) -> Path | None:
    """Return the file that a page shows, or None for one that is not in the repository."""
    inside = uri.removeprefix(f"{OUTSIDE}/")
    source = (DOCS if inside == uri else ROOT) / inside
    return source if source.is_file() else None


def _target(page: Path, link: str) -> Path | None:
    """Return the file of the repository that a link leads to; a folder's is its README.md."""
    if re.match(r"[a-z]+:", link):
        return None
    target = Path(os.path.normpath(page.parent / link))
    if (target / "README.md").is_file():
        target = target / "README.md"
    return target if target.exists() and target.suffix != ".svg" else None


def _linked(page: Path) -> Iterator[Path]:
    text = _FENCED.sub("", page.read_text(encoding="utf-8"))
    for match in _LINK.finditer(text):
        target = _target(page, match[2])
        if target is not None:
            yield target


def _uri(file: Path) -> str:
    if file.is_relative_to(DOCS):
        return file.relative_to(DOCS).as_posix()
    uri = f"{OUTSIDE}/{file.relative_to(ROOT).as_posix()}"
    return uri if file.suffix == ".md" else f"{uri}.md"


def _content(file: Path) -> str:
    if file.is_dir():
        names = "".join(f"- `{child.name}`\n" for child in sorted(file.iterdir()))
        return f"# {file.relative_to(ROOT)}\n\n{names}"
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".md":
        return text
    fence = "`" * 6
    return f"# {file.name}\n\n{fence}{_LANGUAGES.get(file.suffix, 'text')}\n{text}\n{fence}\n"


def _outside_of_fences(markdown: str, replace: object) -> str:
    parts, end = [], 0
    for fence in _FENCED.finditer(markdown):
        parts += [_LINK.sub(replace, markdown[end : fence.start()]), fence[0]]  # type: ignore[arg-type]
        end = fence.end()
    return "".join([*parts, _LINK.sub(replace, markdown[end:])])  # type: ignore[arg-type]

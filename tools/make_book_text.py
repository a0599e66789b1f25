"""Freeze the book's prose as plain characters, for the character model of chapter 6.

    python tools/make_book_text.py            write minigen/data/book_text.txt

The file is committed and is not made again when a chapter changes: the numbers of chapter 6 and the
weights that it loads belong to this one version (24 November 2026). Whoever makes it again must train
the weights again: python training/characters.py.

What is kept: the paragraphs of the book's pages, of the exercises, of the three pages beside them, and of
the library's docstrings and comments, one a line, in lower case. A formula becomes the letter x; code, tables,
figures and references to papers go.
"""

import ast
import io
import re
import tokenize
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "minigen" / "data" / "book_text.txt"
ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789 .,:;?'()-\n"
SHORTEST = 40  # characters: shorter lines are labels


def plain(source: str) -> list[str]:
    """The paragraphs of a MyST source as plain lower-case text.

    >>> plain("# 1. Sound\\n\\n```{code-cell}\\nx = 1\\n```\\n\\nThe **density** $p(x)$ of "
    ...       "a [sample](x.md), see {cite:p}`a2016`, is\\nnever `None` and never negative.\\n")
    ['the density x of a sample, see, is never none and never negative.']
    """
    text = re.sub(r"\A---\n.*?\n---\n", "", source, flags=re.DOTALL)
    prose = r"^(`{3,}|:{3,})\{(?:glossary|admonition|dropdown)\}.*?\n(.*?)^\1\s*$"
    text = re.sub(prose, r"\2", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"^(`{3,}|:{3,}).*?^\1\s*$", "\n", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"^(?!\s).{1,30}\n  (?=\S)", "", text, flags=re.MULTILINE)  # headwords
    text = re.sub(r"\$\$.*?\$\$(\s*\(\w+\))?", " x ", text, flags=re.DOTALL)
    text = re.sub(r"\$[^$]+\$", "x", text)
    text = re.sub(r"\{(cite|eq|numref)[^}]*\}`[^`]*`", "", text)
    text = re.sub(r"\{[\w:]+\}`([^`<]*)[^`]*`", r"\1", text)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"^(#+ .*|\|.*|\s*\* - .*)$", "", text, flags=re.MULTILINE)
    text = re.sub(r"^\s*([-*]|\d+\.) ", "\n\n", text, flags=re.MULTILINE)
    text = text.lower().translate(str.maketrans("–—“”’µ", "--'''u"))
    rows = []
    for paragraph in re.split(r"\n\s*\n", text):
        row = "".join(c if c in ALPHABET else " " for c in paragraph.replace("\n", " "))
        row = re.sub(r"\s+([.,:;?)])", r"\1", re.sub(r"\s+", " ", row)).strip()
        if len(row) >= SHORTEST:
            rows.append(row)
    return rows


def prose_of_code(source: str) -> str:
    """Docstrings of a Python file without their equations and doctests, and whole-line comments."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            found.append(ast.get_docstring(node) or "")
    text = re.sub(r"^(\s{4,}.*|>>>.*|\.\.\. .*|\w+:)$", "", "\n\n".join(found), flags=re.MULTILINE)
    comments = ""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and token.line.strip() == token.string:
            comments += token.string.lstrip("# -") + "\n"
    return f"{text}\n\n{comments}"


def main() -> None:
    """Write the file and say how long it is."""
    pages = [*ROOT.glob("book/*.md"), *ROOT.glob("book/source/*.md")]
    pages += [*ROOT.glob("exercises/source/*.md"), ROOT / "README.md"]
    pages += [ROOT / "CONTRIBUTING.md", ROOT / "LICENSE-TEXT.md"]
    code = [*ROOT.glob("minigen/**/*.py"), *ROOT.glob("tests/*.py"), *ROOT.glob("tools/*.py")]
    rows = [row for path in sorted(pages) for row in plain(path.read_text(encoding="utf-8"))]
    for path in sorted(code):
        rows += plain(prose_of_code(path.read_text(encoding="utf-8")))
    rows = list(dict.fromkeys(rows))  # each paragraph once
    TARGET.write_text("\n".join(rows) + "\n", encoding="utf-8")
    print(f"{TARGET.name}: {len(rows)} paragraphs, {TARGET.stat().st_size} characters")


if __name__ == "__main__":
    main()

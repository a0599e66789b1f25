"""The directive {quiz}: a question whose answers unfold, each to whether it is right, and why.

Plain <details>, so that it works with the keyboard, without a script and in every other form of the book.
tools/plain.py makes the same of it in a notebook.
"""

from __future__ import annotations

import sys
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

sys.path[:0] = [str(Path(__file__).resolve().parents[2] / "tools")]
from plain import question_and_answers

__all__ = ["setup"]


def html(text: str) -> nodes.raw:
    """A piece of HTML as a node."""
    return nodes.raw("", text, format="html")


class Quiz(SphinxDirective):
    """One question with its answers."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """The question as a paragraph, and a <details> for each answer."""
        try:
            question, answers = question_and_answers("\n".join(self.content))
        except ValueError as error:
            raise self.error(str(error)) from None
        box = nodes.container(classes=["minigen-quiz"])
        box += nodes.paragraph("", "", *self.parsed(question), classes=["question"])
        for letter, (right, answer, reason) in zip("ABCDEF", answers, strict=False):
            kind, verdict = ("right", "Right.") if right else ("wrong", "No.")
            box += html(f'<details class="{kind}"><summary>{letter}. ')
            box += self.parsed(answer)
            box += html("</summary>")
            strong = nodes.strong("", verdict)
            box += nodes.paragraph("", "", strong, nodes.Text(" "), *self.parsed(reason))
            box += html("</details>")
        return [box]

    def parsed(self, text: str) -> list[nodes.Node]:
        """Text in a line, with formulas and roles."""
        found, messages = self.state.inline_text(text, self.lineno)
        return [*found, *messages]


def setup(app: Sphinx) -> dict[str, bool | str]:
    """Register with Sphinx."""
    app.add_directive("quiz", Quiz)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

"""Questions at the end of each chapter: well formed, in the notebook too, and opened with the keyboard."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from plain import plain, question_and_answers
from test_browser import ROOT, pytestmark, site

__all__ = ["pytestmark", "site"]  # used by pytest
SOURCES = sorted(ROOT.glob("book/source/*.md"))
QUIZ = re.compile(r"^```\{quiz\}\n(.*?)\n```$", re.MULTILINE | re.DOTALL)


def quizzes(path) -> list[tuple[str, list]]:
    return [question_and_answers(body) for body in QUIZ.findall(path.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.stem)
def test_a_chapter_asks_two_or_three_questions(path):
    text = path.read_text(encoding="utf-8")
    found = quizzes(path)
    assert 2 <= len(found) <= 3
    assert max(len(line) for body in QUIZ.findall(text) for line in body.split("\n")) <= 84
    assert text.index("## Questions") < text.index("```{quiz}") < text.index("## Summary")
    for question, answers in found:
        assert question.endswith("?") and len(answers) >= 3, question
        for _, answer, reason in answers:
            assert len(reason.split()) >= 4 and reason != answer, question
    places = [[right for right, *_ in answers].index(True) for _, answers in found]
    assert len(set(places)) > 1, "the right answer always stands in the same place"


def test_a_quiz_that_is_not_whole_is_refused():
    whole = "Why?\n\n- [ ] One.\n  : No.\n- [x] Two.\n  : Yes."
    assert len(question_and_answers(whole)[1]) == 2
    for wrong in (
        whole.replace("[x]", "[ ]"),
        whole.replace("[ ]", "[x]"),
        whole.replace("\n  : No.", ""),
        whole.replace("\n- [ ] One.\n  : No.", ""),
    ):
        with pytest.raises(ValueError):
            question_and_answers(wrong)


def test_a_notebook_shows_each_answer_with_its_reason():
    body = "```{quiz}\nWhy?\n\n- [ ] `One`.\n  : For $x$\n    alone.\n- [x] Two.\n  : Yes.\n```"
    text = plain([body], SOURCES[0])[0]
    assert text == (
        "**Why?**\n\n<details><summary>A. <code>One</code>.</summary>\n\n**No.** For $x$ alone.\n\n</details>\n\n"
        "<details><summary>B. Two.</summary>\n\n**Right.** Yes.\n\n</details>"
    )


def test_answers_unfold_with_the_keyboard_and_without_scripts(browser, site):
    for path in SOURCES:
        text = (site / "book" / f"{path.stem}.html").read_text(encoding="utf-8")
        shown = re.findall(r'minigen-quiz[ "]|<details class="(?:right|wrong)"', text)
        wanted = [1 + len(answers) for _, answers in quizzes(path)]
        starts = [n for n, tag in enumerate(shown) if tag.startswith("minigen")] + [len(shown)]
        assert [b - a for a, b in pairwise(starts)] == wanted, path.stem
        assert shown.count('<details class="right"') == len(wanted)
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    try:
        page.goto((site / "book" / f"{path.stem}.html").as_uri(), wait_until="domcontentloaded")
        reason = page.locator(".minigen-quiz details > p").first
        assert not reason.is_visible()
        page.locator(".minigen-quiz summary").first.focus()
        page.keyboard.press("Enter")
        assert reason.is_visible()
        assert reason.inner_text().startswith(("Right. ", "No. "))
    finally:
        context.close()

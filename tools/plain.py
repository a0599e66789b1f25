"""What MyST's directives and roles become in a notebook, where nobody renders them.

The page of the book is built from the source with its directives (book/_ext/minigen_book.py). A
notebook is opened in Jupyter and Colab, so there a folded hint is `<details>`, a citation a link with
authors and year, a reference to an equation its number, a number of {measured} or {given} itself, a link to
a page a link to its notebook, each answer of a {quiz} a `<details>` with its reason.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from measured import ROLE
from pybtex.database import Entry, Person, parse_file

__all__ = ["plain", "question_and_answers", "works"]

DIRECTIVE = re.compile(
    r"^(?P<fence>`{3,}|:{3,})\{(?P<kind>[\w-]+)\} ?(?P<title>.*)\n"
    r"(?P<options>(?::[\w-]+:.*\n)*)(?P<body>(?:.*\n)*?)(?P=fence)[ ]*$",
    re.MULTILINE,
)
CITATION = re.compile(r"\{cite:(?P<form>[pt])\}`(?P<keys>[^`]+)`")
LABELLED = re.compile(r"\n(?P<indent> *)\$\$ \((?P<label>[\w:-]+)\)")
LINK = re.compile(r"\]\((?P<path>(?:\.\./)?[\w/]+)(?P<anchor>#[\w-]+)?\)")


def plain(cells: list[str], source: Path) -> list[str]:
    """The text cells of one notebook as Jupyter can show them.

    Args:
        cells: their text in MyST, in order.
        source: the file they come from, book/source/NN_name.md; links start in the folder above.
    """
    folder = source.parent.parent
    cited = works(folder.parent / "book" / "references.bib")
    text = "\n".join(cells)
    numbers = equations(folder.parent)
    used = {key.strip() for match in CITATION.finditer(text) for key in match["keys"].split(",")}

    def directive(match: re.Match) -> str:
        kind, body = match["kind"], match["body"].strip("\n")
        if kind == "dropdown":
            return f"<details><summary>{match['title']}</summary>\n\n{body}\n\n</details>"
        if kind == "bibliography":
            return "\n".join(f"- {cited[key].full}" for key in sorted(used & cited.keys()))
        if kind == "quiz":
            return quiz(body)
        if kind == "list-table":
            return table(body)
        if kind == "raw":  # a player of a file of the site
            sound, title = (
                re.search(r'src="\.\./([^"]+)"', body),
                re.search(r"<strong>(.*?)</", body),
            )
            return f"▶ [{title[1]}]({sound[1]})" if sound and title else body
        raise ValueError(f"{source}: a notebook cannot show {{{kind}}}: teach tools/plain.py to")

    def citation(match: re.Match) -> str:
        found = [cited[key.strip()] for key in match["keys"].split(",")]
        if match["form"] == "t":
            return ", ".join(work.textual for work in found)
        return f"({'; '.join(work.brief for work in found)})"

    def link(match: re.Match) -> str:
        for ending in (".ipynb", ".md"):
            if (folder / f"{match['path']}{ending}").exists():
                return f"]({match['path']}{ending}{match['anchor'] or ''})"
        return match[0]

    done = []
    for cell in cells:
        cell = DIRECTIVE.sub(directive, cell + "\n").removesuffix("\n")
        cell = ROLE.sub(lambda m: m["text"], cell)
        cell = CITATION.sub(citation, cell)
        cell = LABELLED.sub(lambda m: f" \\tag{{{numbers[m[2]]}}}\n{m[1]}$$", cell)
        cell = re.sub(r"\{eq\}`([^`]+)`", lambda m: f"({numbers[m[1]]})", cell)
        done.append(LINK.sub(link, cell))
    return done


@cache
def equations(root: Path) -> dict[str, str]:
    """The number of each labelled equation of the book: 4.2 is the second of chapter 4."""
    numbers = {}
    for path in sorted(root.glob("book/source/*.md")):
        found = [label for _, label in LABELLED.findall(path.read_text(encoding="utf-8"))]
        numbers |= {label: f"{int(path.stem[:2])}.{n}" for n, label in enumerate(found, start=1)}
    return numbers


def question_and_answers(body: str) -> tuple[str, list[tuple[bool, str, str]]]:
    """The question of a {quiz}, and its answers: is it right, the answer, the reason.

    >>> question_and_answers("Why?\\n\\n- [ ] One.\\n  : No cause.\\n- [x] Two.\\n  : A\\n    cause.")
    ('Why?', [(False, 'One.', 'No cause.'), (True, 'Two.', 'A cause.')])

    Raises:
        ValueError: if there is not one right answer among at least two, each with its reason.
    """
    question, *rest = re.split(r"^- \[([ x])\] ", body, flags=re.MULTILINE)
    answers = []
    for mark, text in zip(rest[::2], rest[1::2], strict=True):
        answer, colon, reason = (" ".join(part.split()) for part in text.partition("\n  : "))
        if not (answer and colon and reason):
            raise ValueError(f"an answer of a quiz has no reason, `  : …` below it: {answer}")
        answers.append((mark == "x", answer, reason))
    if len(answers) < 2 or sum(right for right, *_ in answers) != 1:
        raise ValueError(f"a quiz has one right answer, - [x], and a wrong one, - [ ]: {body[:60]}")
    return " ".join(question.split()), answers


def quiz(body: str) -> str:
    """A question, and answers that unfold to their reasons."""
    question, answers = question_and_answers(body)
    rows = [f"**{question}**" if "$" not in question else question]
    for letter, (right, answer, reason) in zip("ABCDEF", answers, strict=False):
        shown = re.sub(r"`([^`]+)`", r"<code>\1</code>", answer)
        verdict = "Right." if right else "No."
        rows.append(
            f"<details><summary>{letter}. {shown}</summary>\n\n**{verdict}** {reason}\n\n</details>"
        )
    return "\n\n".join(rows)


def table(body: str) -> str:
    """A list-table's rows, the first of them the header, as a Markdown table."""
    rows = [
        re.split(r"\n +- ?", row.rstrip())
        for row in re.split(r"^\* - ?", body, flags=re.MULTILINE)[1:]
    ]
    lines = ["| " + " | ".join(cell.strip() for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])


class Work:
    """One entry of the bibliography, as it is cited.

    Args:
        entry: what references.bib says.
    """

    def __init__(self, entry: Entry) -> None:
        people = [surname(person) for person in entry.persons["author"]]
        many = len(people) > 2 or "others" in people
        who = f"{people[0]} et al." if many else " and ".join(people)
        fields = {key: clean(value) for key, value in entry.fields.items()}
        address = re.search(r"https?://[^\s}]+", entry.fields.get("howpublished", ""))
        self.url = fields.get("url") or (address and address[0])
        if "doi" in fields:
            self.url = f"https://doi.org/{fields['doi']}"
        if "eprint" in fields:
            self.url = f"https://arxiv.org/abs/{fields['eprint']}"
        year = fields["year"]
        self.brief = self.linked(f"{who}, {year}")
        self.textual = self.linked(f"{who} ({year})")
        places = ("journal", "booktitle", "institution", "publisher")
        where = next((f" {fields[place]}." for place in places if place in fields), "")
        authors = ", ".join(name for name in people[:3] if name != "others")
        authors += " et al." if len(people) > 3 or "others" in people else ""
        self.full = f"{authors}, {year}. {self.linked(fields['title'])}.{where}"

    def linked(self, text: str) -> str:
        """The text as a link, where the entry has an address."""
        return f"[{text}]({self.url})" if self.url else text


def surname(person: Person) -> str:
    """A person's last name with what stands before it."""
    return clean(" ".join((*person.prelast_names, *person.last_names)))


def clean(value: str) -> str:
    """A field without BibTeX's braces; references.bib has its accents in Unicode.

    >>> clean("{WaveNet}: A~Model, pages 1--9")
    'WaveNet: A Model, pages 1–9'
    """
    return re.sub("[{}]", "", value).replace("--", "–").replace("~", " ").replace("\\&", "&")


@cache
def works(path: Path) -> dict[str, Work]:
    """Every entry of the bibliography."""
    if not path.exists():
        return {}
    return {key: Work(entry) for key, entry in parse_file(str(path)).entries.items()}

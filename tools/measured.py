"""Numbers in prose: which of them a cell of the page prints, and which nobody vouches for.

    {measured}`2.21`  a cell of this page prints it, or what rounds to it; `notebooks.py --check` and the build hold it to that
    {given}`0.693`    nobody prints it: part of a definition, a sum done in the head, or another's result

Both roles are plain text on the page and in the notebook. `loose` lists what has neither.
"""

from __future__ import annotations

import re

from nbformat import NotebookNode

__all__ = ["ROLE", "loose", "printed", "unprinted"]

ROLE = re.compile(r"\{(?P<kind>measured|given)\}`(?P<text>[^`]+)`")
NUMBER = r"\d[\d,]*(?:\.\d+)?(?:[eE][-+]?\d+)?"
CLAIM = re.compile(rf"[-−+±]?\s?({NUMBER})( ?%)?")

# What is no prose, or holds digits that claim nothing: taken out before `loose` looks.
ASIDE = re.compile(
    r"""
    ^(`{3,}|:{3,}).*?^\1[ ]*$          # directives, code
  | <figure.*?</figure> | <!--.*?--> | <[^>]+>
  | ^\#.*?$                            # headings
  | \$\$.*?\$\$(?:[ ]\([\w:-]+\))? | \$[^$]+\$
  | \{[\w:-]+\}`[^`]+` | `[^`]+`       # roles (measured and given among them), code
  | \]\([^)]*\)                        # where links lead
  | \b([Cc]hapters?|[Ee]xercises?|[Ff]igures?|[Ss]teps?|[Pp]art)\s[\d.]+((,|\sand|\sto|[ ]or|–)\s?[\d.]+)*
  | ^\s*\d+\.\s | \|\s*\d+\s*\|        # numbered lists, tables of chapters
  | [^\W\d]+[-_]?\d[\w.]*              # MFCC13, float32, U1
  | \b(19|20)\d\d\b                    # years
    """,
    re.VERBOSE | re.MULTILINE | re.DOTALL,
)
FORMAL = re.compile(
    r"^```\{code-cell\}.*?^```|\$\$.*?\$\$|\$[A-Za-z][^$]*=[^$]+\$", re.MULTILINE | re.DOTALL
)
SENTENCE = re.compile(r"(?<=[.!?:])\s+|\n\s*\n|\n(?=[*-] )")
FEW = 12  # whole numbers up to here count things in view


def printed(notebook: NotebookNode) -> list[float]:
    """Every number that a cell prints or shows in a table. Descriptions of figures are written by people."""
    found = []
    for cell in notebook.cells:
        for out in cell.get("outputs", []):
            data = out.get("data", {})
            shown = [out.get("text", ""), data.get("text/plain", ""), data.get("text/html", "")]
            for text in ("".join(part) for part in shown):
                if not text.lstrip().startswith("[figure"):
                    text = re.sub(r"<(style|script).*?</\1>|<[^>]*>", " ", text, flags=re.DOTALL)
                    found += map(_value, re.findall(NUMBER, text))
    return found


def _value(text: str) -> float:
    return float(text.replace(",", ""))


def _decimals(text: str) -> int:
    return len(text.partition(".")[2])


def _backed(claim: str, numbers: list[float]) -> bool:
    """Does one of the numbers round to the claim? Its sign may be in the words, its % a share.

    >>> _backed("2.21", [2.2146]), _backed("−3.7", [-3.7]), _backed("36 %", [0.3641])
    (True, True, True)
    >>> _backed("2.21", [2.2]), _backed("2.21", [2.2151])
    (False, False)
    """
    match = CLAIM.fullmatch(claim.strip())
    if match is None:
        raise ValueError(f"{claim!r} is no number: the role holds one number, with % perhaps")
    wanted, room = _value(match[1]), 0.5 * 10 ** -_decimals(match[1]) * (1 + 1e-6)
    scales = (1, 100) if match[2] else (1,)
    return any(abs(abs(v) * scale - wanted) <= room for v in numbers for scale in scales)


def unprinted(text: str, notebook: NotebookNode) -> list[str]:
    """The {measured} numbers of a source that no output of its notebook rounds to."""
    claims = [match["text"] for match in ROLE.finditer(text) if match["kind"] == "measured"]
    numbers = printed(notebook) if claims else []
    return [claim for claim in claims if not _backed(claim, numbers)]


def loose(text: str) -> list[tuple[str, str]]:
    """(number, sentence) for each number in the prose of a source that is neither measured nor given.

    Not listed: whole numbers up to twelve, numbers that stand in the page's code, displayed formulas or in an
    equation ($K = 128$: they define), and those of sentences that cite.

    >>> loose("It needs 1.234 nats, not {measured}`2.21` of 30.")
    [('1.234', 'It needs 1.234 nats, not {measured}`2.21` of 30.'), ('30', 'It needs 1.234 nats, not {measured}`2.21` of 30.')]
    >>> loose("Half of 16,384 bits, as in chapter 1 {cite:p}`shannon1948`. AR(2) has 2 weights.")
    []
    """
    own = "\n".join(match[0] for match in FORMAL.finditer(text))
    own = own.replace("{,}", ",").replace("_", "")
    defined = {_value(number) for number in re.findall(rf"(?<![\w.]){NUMBER}", own)}
    prose = re.sub(r"\A---.*?^---$", "", text, flags=re.MULTILINE | re.DOTALL)
    prose = re.sub(r"^(`{3,}|:{3,}).*?^\1[ ]*$", "\n\n", prose, flags=re.MULTILINE | re.DOTALL)
    prose = re.sub(r"\$\$.*?\$\$|^<[^>]*>", " ", prose, flags=re.MULTILINE | re.DOTALL)
    found = []
    for sentence in SENTENCE.split(prose):
        if "{cite" in sentence:
            continue
        for match in re.finditer(
            rf"(?<![\w.,]){NUMBER}(?P<percent> ?%)?", ASIDE.sub(" ", sentence)
        ):
            number = match[0].removesuffix(match["percent"] or "").rstrip(",")
            whole = "." not in number and not match["percent"]
            if _value(number) not in defined and not (whole and _value(number) <= FEW):
                found.append((match[0], " ".join(sentence.split())))
    return found

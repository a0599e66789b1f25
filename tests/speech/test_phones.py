"""The inventory of phones."""

import pytest

from minigen import conditioning
from minigen.speech.phones import MANNER, PHONES, SILENCE, VOWELS, from_arpabet, nearest


def test_inventory():
    assert len(PHONES) == len(set(PHONES)) == 41 and PHONES[0] == SILENCE
    assert set(MANNER) == set(PHONES) > set(conditioning.PHONES)
    assert VOWELS == {phone for phone, manner in MANNER.items() if manner == "vowel"}


def test_arpabet():
    assert from_arpabet("AH0 AH1 AH2 ah ER0 zh") == ("ax", "ah", "ah", "ah", "er", "zh")


def test_nearest():
    assert nearest("zh", PHONES) == "zh"
    assert nearest("zh", set(PHONES) - {"zh"}) == "sh"
    assert nearest("zh", set(PHONES) - {"zh", "sh"}) == "jh"
    with pytest.raises(ValueError, match="no phone 'z'"):
        nearest("z", ["s"])


def test_what_stands_in_for_a_phone_is_made_alike():
    """A vowel for a vowel, and a consonant for a consonant with as much voice, or with none."""
    for phone in set(PHONES) - {SILENCE}:
        for other in set(PHONES) - {SILENCE, phone}:
            try:
                found = nearest(phone, {other})
            except ValueError:
                continue
            assert found == other and (phone in VOWELS) == (other in VOWELS)
    stands_in = {p: nearest(p, set(PHONES) - {p}) for p in ("zh", "oy", "uh", "th", "dh")}
    assert stands_in == {"zh": "sh", "oy": "ao", "uh": "uw", "th": "f", "dh": "d"}

"""How much there is in a password when keyboard rows, sequences, repeats and known words count for little (SEC-A04)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

RUN: Final = 3
"""Characters that follow each other, on a keyboard or in an alphabet, from which on they count as one."""
WORD: Final = 2
"""What a known word counts."""
WORD_MIN, WORD_MAX = 5, 11
"""Letters of the common words that are looked for."""
_FAR: Final = 64
"""Longer passwords have enough in them beside words."""
_BETWEEN = re.compile(r"[\s\-_.]+")
_LAYOUTS: Final = (
    ("`1234567890-=", "qwertyuiop[]\\", "asdfghjkl;'", "zxcvbnm,./"),
    ("~!@#$%^&*()_+", "qwertyuiop{}|", 'asdfghjkl:"', "zxcvbnm<>?"),
    ("1234567890", "qwertzuiop", "asdfghjkl", "yxcvbnm"),
    ("1234567890", "azertyuiop", "qsdfghjklm", "wxcvbn"),
    ("ё1234567890-=", "йцукенгшщзхъ", "фывапролджэ", "ячсмитьбю"),
)
_SIGNS: Final = str.maketrans("@4031!5$7", "aaoeiisst")
_INDENT: Final = (0.0, 0.5, 0.75, 1.25)
"""How far each row of keys stands to the right, in keys."""


def _neighbours() -> frozenset[str]:
    found = set()
    for layout in _LAYOUTS:
        first = 1 if layout[0].startswith("1") else 0  # a whole row of digits begins one key to the left of the 1
        keys = {
            key: (place + _INDENT[row] + (1 if row else first), row)
            for row, line in enumerate(layout)
            for place, key in enumerate(line)
        }
        found |= {
            a + b
            for a, (x, row) in keys.items()
            for b, (other, beside) in keys.items()
            if a != b and abs(row - beside) <= 1 and abs(x - other) <= 1
        }
    return frozenset(found)


_NEAR: Final = _neighbours()


def weigh(text: str, *, names: Iterable[str] = (), is_word: Callable[[str], bool] | None = None) -> int:
    """Return the characters of ``text`` that count.

    A run counts as one, and so does each of ``names``; a common word as two; blanks, dashes and dots do not count.
    Two runs that take turns (``q1w2e3``) are seen, and letters that signs stand for (``p@ssw0rd``).
    """
    folded = _BETWEEN.sub("", text.casefold())
    known = sorted({each for each in names if each}, key=len, reverse=True)
    ways = [_weigh(folded, known, is_word), _weigh(folded[::2], [], None) + _weigh(folded[1::2], [], None)]
    if (spelled := folded.translate(_SIGNS)) != folded:
        ways.append(_weigh(spelled, known, is_word))
    return min(ways)


def _weigh(folded: str, known: Sequence[str], is_word: Callable[[str], bool] | None) -> int:
    at = total = 0
    while at < len(folded):
        run = _run(folded, at)
        name = next((len(each) for each in known if folded.startswith(each, at)), 0)
        word = _word(folded, at, is_word) if is_word is not None and len(folded) <= _FAR else 0
        length = max(run if run >= RUN else 1, name, word)
        total += WORD if word == length and length > 1 else 1
        at += length
    return total


def period(text: str) -> int:
    """Return the length of the shortest part that gives ``text`` when it is repeated: all of it when none does."""
    folded = text.casefold()
    for length in range(1, len(folded) // 2 + 1):
        if folded[length:] == folded[:-length]:
            return length
    return len(folded)


def parts(text: str) -> Iterator[str]:
    """Yield the words of a name or address that are long enough to be told from chance, and the whole of it."""
    folded = text.casefold()
    for each in (*re.split(r"[\W_]+", folded), _BETWEEN.sub("", folded)):
        if len(each) >= RUN:
            yield each


def _run(text: str, at: int) -> int:
    end = at + 1
    while end < len(text) and _follows(text[end - 1], text[end]):
        end += 1
    return end - at


def _follows(a: str, b: str) -> bool:
    if a == b or a + b in _NEAR:
        return True
    return abs(ord(a) - ord(b)) == 1 and a.isalnum() and b.isalnum()


def _word(text: str, at: int, is_word: Callable[[str], bool]) -> int:
    for length in range(min(WORD_MAX, len(text) - at), WORD_MIN - 1, -1):
        part = text[at : at + length]
        if part.isalpha() and is_word(part):
            return length
    return 0

"""Texts to token codes: words, a vocabulary of the most frequent ones, rows of codes, bags of words.

Takes texts (None is a missing one), gives words, a :class:`Vocabulary`, codes (n, length) and bags (n, size). Plain
counting, deterministic, no language assumed: scripts written without spaces are not cut into words. Which texts the
vocabulary is learnt from (training rows only) is the caller's; vectors of words are :mod:`automl_phys.word_vectors`'s.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

PADDING = 0
UNKNOWN = 1
FIRST = 2
"""Code of the first word of a vocabulary; those before it are what fills up a row and a word outside the vocabulary."""

TYPICAL_PART = 0.95
LONGEST = 512

BLOCK_COUNTS = 1 << 22
"""Bags are counted for so many cells at a time, which saves large temporary arrays."""

# \w of Python has no combining marks, which would cut 't̄' and most words of Indian scripts
_MARKS = "".join(mark for mark in map(chr, range(0x300, 0x10000)) if unicodedata.category(mark).startswith("M"))
_PIECE = rf"\w[\w{_MARKS}]*"
_WORD = re.compile(
    r"(\d+(?:(?:\.\d+|,\d{3}(?!\d))+(?:[eE][+-]?\d+(?!\w))?|[eE][+-]?\d+(?!\w))"  # 13.6  1,000  1.5e-3  1e-5
    r"|(?<![\w'])[^\W\d]'(?![\w'])"  # Z'
    rf"|{_PIECE}(?:'(?![sS](?!\w)){_PIECE})*)"  # boson  tau21  don't
    r"(?:'[sS](?!\w))?")  # Einstein's, without its 's


def words(text: str, cased: bool = False) -> list[str]:
    """The words and numbers of a text in their order, lower-cased unless ``cased``, in Unicode's form NFC.

    A word is a run of letters, digits and combining marks: ``tau21``, ``13TeV`` and ``t̄`` are one each. A number keeps
    its point, commas between thousands and its exponent (``13.6``, ``1,000``, ``1e-5``), without which it would leave
    digits and an electron behind; its sign is lost.

    - Hyphens, dashes and underscores part words: 'W-boson' is then the same two words as 'W boson', and pre-trained
      vectors know the parts of most compounds but few compounds. So are names in logs (``ECAL_HV_trip``) and LaTeX
      (``p_{T}``).
    - Apostrophes inside a word stay: "don't" is a negation, 'don' and 't' are nothing. A possessive 's goes, since
      "Einstein's" counts as 'Einstein'. A prime after a single letter stays: "Z'" is not the Z. All apostrophes and
      primes are told as ``'``.
    """
    text = unicodedata.normalize("NFC", text if cased else text.lower())
    for sign, plain in (("_", " "), ("\u00ad", ""), ("’", "'"), ("′", "'")):  # U+00AD: where a line might have ended
        text = text.replace(sign, plain)
    return _WORD.findall(text)


@dataclass(frozen=True)
class Vocabulary:
    """Words that have a code: position in ``words`` plus 2. Code 0 is padding, 1 a word that is not among them."""

    words: tuple[str, ...]

    @cached_property
    def code(self) -> Mapping[str, int]:
        """The code of each word."""
        return {word: code for code, word in enumerate(self.words, FIRST)}

    @property
    def size(self) -> int:
        """How many codes there are, 0 and 1 among them."""
        return len(self.words) + FIRST


def learn(texts: Iterable[str | None], most: int, least: int = 1, cased: bool = False) -> Vocabulary:
    """The ``most`` most frequent words, those that occur ``least`` times at least; of equal ones by the alphabet.

    ``most`` does not count the codes 0 and 1.
    """
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(words(text or "", cased))
    often = [(word, count) for word, count in counts.items() if count >= least]
    often.sort(key=lambda pair: (-pair[1], pair[0]))
    return Vocabulary(tuple(word for word, _ in often[:most]))


def encode(
    texts: Sequence[str | None], vocabulary: Vocabulary, length: int, cased: bool = False
) -> NDArray[np.int32]:
    """Codes (n, length) of the first ``length`` words of each text, 0 after its last; all 0 for a missing one.

    ``cased`` is what the vocabulary was learnt with.
    """
    codes = np.zeros((len(texts), length), np.int32)
    code = vocabulary.code
    for row, text in zip(codes, texts, strict=True):
        found = [code.get(word, UNKNOWN) for word in words(text or "", cased)[:length]]
        row[:len(found)] = found
    return codes


def typical_length(texts: Iterable[str | None]) -> int:
    """The fewest words that hold 95 % of the texts whole, from 1 to 512.

    Texts without words are left out: where most rows have none, the others' would be cut to nothing.
    """
    counts = [count for text in texts if (count := len(words(text or "")))]
    if not counts:
        return 1
    return min(int(np.quantile(counts, TYPICAL_PART, method="inverted_cdf")), LONGEST)


def bag(tokens: NDArray[np.integer], size: int) -> NDArray[np.float32]:
    """Bags of words (n, size) of codes (n, L): the square root of each word's count, rows of length 1.

    Column j is code j. As the squares of a row sum to 1, it holds the square roots of the words' shares of the text,
    and the Euclidean distance of two rows is √2 times the Hellinger distance of their words' distributions. Padding
    (column 0) is not counted, as it says nothing of the text; unknown words (column 1) are, so that shares are of all
    words and not of the known ones, and how many are unknown is itself a feature. A text without words is all 0.

    Raises ValueError for a code outside 0 to ``size`` - 1.
    """
    if tokens.size and not 0 <= int(tokens.min()) <= int(tokens.max()) < size:
        raise ValueError(f"codes from {tokens.min()} to {tokens.max()} do not fit into {size} columns")
    bags = np.empty((len(tokens), size), np.float32)
    step = max(1, BLOCK_COUNTS // max(1, size))
    for start in range(0, len(tokens), step):
        block = tokens[start:start + step]
        cells = (np.arange(len(block))[:, None] * size + block).ravel()
        counts = np.bincount(cells, minlength=len(block) * size).reshape(len(block), size)
        counts[:, :UNKNOWN] = 0
        bags[start:start + step] = np.sqrt(counts / np.maximum(counts.sum(1, keepdims=True), 1))
    return bags

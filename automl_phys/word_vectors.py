"""Pre-trained word vectors for the words of a vocabulary, from the files in which they are published.

Takes a file and words, gives a vector for each word that the file has. Formats are told apart by what is in the file:
word2vec's text and fastText's ``.vec`` (a first line with the numbers of words and of dimensions), GloVe's (without
one), and word2vec's binary; each also gzipped. It is read a block at a time, so memory does not grow with it. Which
words to look up is :mod:`automl_phys.text_tokens`'s; that the file is there is checked by others.
"""

from __future__ import annotations

import codecs
import gzip
import io
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import IO, NoReturn

import numpy as np
from numpy.typing import NDArray

from automl_phys.errors import DataError, Mistake
from automl_phys.text_tokens import FIRST, UNKNOWN, Vocabulary

GZIP, ZIP, BOM = b"\x1f\x8b", b"PK\x03\x04", b"\xef\xbb\xbf"
FASTTEXT_MODEL = (793712314).to_bytes(4, "little")  # FASTTEXT_FILEFORMAT_MAGIC_INT32 of its source

BLOCK_BYTES = 1 << 20
"""So much is read at a time, and no line is longer."""

MOST_DIMENSIONS = 10_000
CUT_WORD_BYTES = 48
"""word2vec cuts long words at a byte, maybe within a character: from this length on that is no fault of the file."""

FORMATS = "Formats: word2vec (text or binary), GloVe, fastText's .vec; plain or gzipped."


@dataclass(frozen=True)
class Vectors:
    """``values`` (words, ``size``), zeros where ``found`` (words,) is False; the file has ``total`` words."""

    values: NDArray[np.float32]
    found: NDArray[np.bool_]
    size: int
    total: int


@dataclass(frozen=True)
class _Layout:
    """What the beginning of a file tells; ``promised`` is the number of words by its header, None without one."""

    size: int
    promised: int | None = None
    binary: bool = False


def read(path: Path, words: Sequence[str]) -> Vectors:
    """The vectors of ``words``: that of the word as it is, else of the first one in the file that differs in case only.

    Of a word that is in the file more than once the first counts. GloVe's words may contain spaces. That each line has
    as many numbers as the others is always checked, the numbers themselves where their word is wanted: to parse the
    6·10^8 numbers of a large file takes minutes.

    Raises DataError: ``unreadable-file`` (cut off, damaged, not UTF-8, not a number, a whole fastText model, fewer
    words than its header promises), ``no-vectors``, ``mixed-lengths``, ``not-finite``; with the line, in a binary file
    the word, counted from 1.
    """
    positions: dict[str, list[int]] = {}
    for position, word in enumerate(words):
        positions.setdefault(word.lower(), []).append(position)
    with _named_errors(path), path.open("rb") as raw:
        zipped = raw.read(2) == GZIP
        raw.seek(0)
        file: IO[bytes] = io.BufferedReader(gzip.GzipFile(fileobj=raw), BLOCK_BYTES) if zipped else raw
        layout = _layout(path, file)
        values = np.zeros((len(words), layout.size), np.float32)
        match = np.zeros(len(words), np.int8)  # 1 in another case, 2 as it is
        total = 0
        for where, found, numbers in (_binary if layout.binary else _lines)(path, file, layout):
            total += 1
            word = _word(path, where, found)
            better = [at for at in positions.get(word.lower(), ()) if match[at] < 1 + (words[at] == word)]
            if better:
                values[better] = _vector(path, where, word, numbers, layout)
                match[better] = [1 + (words[at] == word) for at in better]
    return Vectors(values, match > 0, layout.size, total)


def out_of_vocabulary(
    tokens: NDArray[np.integer], vocabulary: Vocabulary, found: NDArray[np.bool_], most: int = 20
) -> tuple[float, float, list[tuple[str, int]]]:
    """How much of texts has no vector: the shares of their running and of their distinct words, and which words.

    ``tokens`` (n, L) are codes of ``vocabulary``, ``found`` (its words,) says which words have a vector. Code 1 has
    none; all words behind it count as one distinct word, and as they are not known, they are not among the ``most``
    most frequent missing words that are told with their counts. Without any words both shares are 0.
    """
    counts = np.bincount(tokens.ravel(), minlength=vocabulary.size)
    counts[:UNKNOWN] = 0
    missing = np.concatenate([np.arange(FIRST) == UNKNOWN, ~found])
    absent = np.where(missing, counts, 0)
    often = [code for code in np.argsort(-absent, kind="stable") if absent[code] and code >= FIRST][:most]
    return (float(absent.sum() / max(1, counts.sum())), float((absent > 0).sum() / max(1, (counts > 0).sum())),
            [(vocabulary.words[code - FIRST], int(absent[code])) for code in often])


def _layout(path: Path, file: IO[bytes]) -> _Layout:
    """The format of a file, which is left where its first word begins."""
    sample = file.read(BLOCK_BYTES)
    if sample.startswith(FASTTEXT_MODEL):
        _fail("unreadable-file", f"{path} is a whole model of fastText (.bin), not a file of word vectors.",
              "Use the .vec file that is published beside it, or write one with fastText.")
    if sample.startswith(ZIP):
        _fail("unreadable-file", f"{path} is a zip archive.", "Unpack it and name the file of vectors inside.")
    begin = len(BOM) if sample.startswith(BOM) else 0
    first, _, rest = sample[begin:].partition(b"\n")
    header = re.fullmatch(rb"[ \t]*(\d{1,18})[ \t]+(\d{1,18})[ \t]*\r?", first)
    file.seek(begin + (len(first) + 1 if header else 0))
    if not header:
        return _Layout(_dimensions(path, first))
    promised, size = int(header[1]), int(header[2])
    if not promised or not 0 < size <= MOST_DIMENSIONS:
        _fail("no-vectors", f"{path} holds no word vectors: by its first line, {promised} words of {size} dimensions.",
              f"Up to {MOST_DIMENSIONS} dimensions are read. {FORMATS}")
    return _Layout(size, promised, not _is_text(rest, size))


def _dimensions(path: Path, first: bytes) -> int:
    """The number of dimensions by the first line of a file without header; its word may have spaces."""
    fields = first.split()
    size = sum(1 for _ in takewhile(lambda field: _number(field) is not None, reversed(fields[1:])))
    if not 0 < size <= MOST_DIMENSIONS:
        _fail("no-vectors", f"{path} holds no word vectors: its first line is not a word and its numbers.", FORMATS)
    if any(_number(field) is not None for field in fields[1:-size]):
        _not_a_number(path, "line 1", fields[-1 - size])
    return size


def _is_text(content: bytes, size: int) -> bool:
    """Whether what follows a header is text: a whole line of it, or some number and no byte that no text has."""
    numbers = [_number(field) is not None for field in content.partition(b"\n")[0].split()[1:]]
    if len(numbers) >= size and all(numbers[-size:]):
        return True
    try:
        text = codecs.utf_8_decode(content)[0]  # the sample may end within a character
    except UnicodeDecodeError:
        return False
    return any(numbers) and not re.search(r"[\x00-\x08\x0e-\x1f\x7f]", text)


def _lines(path: Path, file: IO[bytes], layout: _Layout) -> Iterator[tuple[str, bytes, bytes]]:
    """Place, word and numbers of each line of a text file."""
    number, total = 0 if layout.promised is None else 1, 0
    while line := file.readline(BLOCK_BYTES + 1):
        number += 1
        if len(line) > BLOCK_BYTES:
            _fail("unreadable-file", f"{path}: line {number} is longer than {BLOCK_BYTES} bytes.", FORMATS)
        line = line.rstrip(b" \t\r\n")  # word2vec and fastText end lines with a space
        if not line:
            continue
        total += 1
        end = line.find(b" ")
        if line.count(b" ") != layout.size or b"  " in line:  # a word with spaces, other spaces, or a fault
            first, *numbers = line.rsplit(None, layout.size)
            inside = [_number(field) is not None for field in first.split()[1:]]
            if len(numbers) < layout.size or any(inside):
                _mixed(path, f"line {number}", len(numbers) + sum(inside), layout)
            end = len(first)
        yield f"line {number}", line[:end].strip(b" \t"), line[end:]
    if layout.promised is not None and total < layout.promised:
        _fail("unreadable-file", f"{path} promises {layout.promised} words in its first line and holds {total}.",
              "It may be truncated: copy it again, or correct its first line.")


def _binary(path: Path, file: IO[bytes], layout: _Layout) -> Iterator[tuple[str, bytes, bytes]]:
    """Place, word and bytes of the numbers of each word of a binary file."""
    width, block, at = 4 * layout.size, b"", 0
    for number in range(1, (layout.promised or 0) + 1):
        while (end := block.find(b" ", at)) < 0 or len(block) < end + 1 + width:
            more = file.read(BLOCK_BYTES)
            if not more or (end < 0 and len(block) - at > BLOCK_BYTES):
                _fail("unreadable-file", f"{path} ends within word {number} of the {layout.promised} that it promises.",
                      "It may be truncated: copy it again.")
            block, at = block[at:] + more, 0
        yield f"word {number}", block[at:end].lstrip(b"\n"), block[end + 1:end + 1 + width]
        at = end + 1 + width
    if (block[at:] + file.read(64)).strip():
        _fail("unreadable-file", f"{path} goes on after the {layout.promised} words that it promises.",
              "Its first line is wrong, or it is of another format: copy or write it again.")


def _word(path: Path, where: str, word: bytes) -> str:
    try:
        return word.decode()
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data" and len(word) >= CUT_WORD_BYTES:
            return word.decode(errors="replace")
        _fail("unreadable-file", f"{path}: {where}, {word[:40]!r}, is not in UTF-8.", "Convert the file.")


def _vector(path: Path, where: str, word: str, numbers: bytes, layout: _Layout) -> NDArray[np.float32]:
    if layout.binary:
        vector = np.frombuffer(numbers, "<f4").astype(np.float32)  # of this machine's order of bytes
    else:
        fields = numbers.split()
        if len(fields) != layout.size:
            _mixed(path, where, len(fields), layout)
        parsed = [_number(field) for field in fields]
        if None in parsed:
            _not_a_number(path, where, fields[parsed.index(None)])
        with np.errstate(over="ignore"):  # what is too large for 32 bits is told as infinite
            vector = np.array(parsed, np.float64).astype(np.float32)
    if not np.isfinite(vector).all():
        _fail("not-finite", f"{path}: {where} has values for '{word}' that are not finite.",
              "Remove this word, or write the file again.")
    return vector


def _number(field: bytes) -> float | None:
    try:
        return None if b"_" in field else float(field)  # Python's numbers may have underscores
    except ValueError:
        return None


def _not_a_number(path: Path, where: str, field: bytes) -> NoReturn:
    _fail("unreadable-file", f"{path}: {where} has {str(field[:40])[1:]} where a number is expected.",
          "It may be damaged: copy or write it again.")


def _mixed(path: Path, where: str, numbers: int, layout: _Layout) -> NoReturn:
    _fail("mixed-lengths", f"{path}: {where} has {numbers} numbers after its word, not {layout.size}.",
          "If it is the last line, the file is truncated: copy or write it again.")


def _fail(code: str, text: str, remedy: str) -> NoReturn:
    raise DataError(Mistake(code, text, remedy))


@contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(Mistake("unreadable-file", f"{path} cannot be read: {error}", "Copy it again.")) from error

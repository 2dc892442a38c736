"""Word vectors are found in each format that they are published in, and files that are not whole are named."""

from __future__ import annotations

import gzip
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl_phys import word_vectors
from automl_phys.errors import DataError
from automl_phys.text_tokens import Vocabulary, learn
from automl_phys.word_vectors import out_of_vocabulary, read

rng = np.random.default_rng(0)
WORDS = ["the", "Higgs", "</s>", "τ", "higgs", "13", "nan", "boson", "\u2028", "don't", "e\u0301"]
VALUES = rng.normal(size=(len(WORDS), 5)).astype(np.float32)


def text(words=WORDS, values=VALUES, header=False, end=" \n"):
    lines = [f"{len(words)} {np.shape(values)[1]}"] * header + [
        " ".join([word, *(str(float(value)) for value in row)]) for word, row in zip(words, values, strict=True)]
    return "".join(line + end for line in lines).encode()


def binary(words=WORDS, values=VALUES, end=b"\n"):
    rows = [word.encode() + b" " + row.astype("<f4").tobytes() + end for word, row in zip(words, values, strict=True)]
    return f"{len(words)} {values.shape[1]}\n".encode() + b"".join(rows)


FORMATS = {
    "glove": text(), "glove, no last line end": text(end="\n")[:-1], "glove, crlf": text(end="\r\n"),
    "glove, tabs": text(end="\n").replace(b" ", b"\t"), "glove, blank lines": text(end="\n\n"),
    "vec": text(header=True), "vec, crlf": text(header=True, end="\r\n"), "vec, bom": b"\xef\xbb\xbf" + text(header=True),
    "bin": binary(), "bin, no line ends": binary(end=b"")}


def write(path, content):
    path.write_bytes(content)
    return path


@pytest.fixture
def fault(tmp_path):
    """The one mistake in a file with this content, as code and text."""
    def found(content, words=WORDS):
        with pytest.raises(DataError) as caught:
            read(write(tmp_path / "vectors", content), words)
        (mistake,) = caught.value.mistakes
        assert mistake.remedy and "vectors" in mistake.text
        return mistake.code, mistake.text
    return found


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("name", FORMATS)
def test_each_format_by_its_content(tmp_path, name, zipped):
    content = gzip.compress(FORMATS[name]) if zipped else FORMATS[name]
    wanted = [*WORDS[::-1], "absent", "", "the"]
    vectors = read(write(tmp_path / "no_telling_name", content), wanted)
    assert (vectors.size, vectors.total, vectors.values.dtype) == (5, len(WORDS), np.float32)
    assert vectors.found.tolist() == [True] * len(WORDS) + [False, False, True]
    assert np.array_equal(vectors.values, [*VALUES[::-1], np.zeros(5), np.zeros(5), VALUES[0]])
    none = read(tmp_path / "no_telling_name", [])
    assert (none.values.shape, none.found.shape, none.total) == ((0, 5), (0,), len(WORDS))


@settings(max_examples=100)
@given(st.data())
def test_round_trips(tmp_path_factory, data):
    size = data.draw(st.integers(3, 12))
    letters = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=8)
    words = data.draw(st.lists(letters, min_size=1, max_size=12, unique_by=str.lower))
    floats = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=size, max_size=size)
    values = np.array(data.draw(st.lists(floats, min_size=len(words), max_size=len(words))), np.float32)
    for content in (text(words, values), text(words, values, header=True), binary(words, values), binary(words, values, b"")):
        vectors = read(write(tmp_path_factory.mktemp("v") / "v", content), words)
        assert vectors.found.all() and np.array_equal(vectors.values, values)


def test_a_binary_file_whose_bytes_are_all_letters(tmp_path):
    content = b"1 3\n0 XyrXAbcdZzzz"
    assert read(write(tmp_path / "v", content), ["0"]).values.tobytes() == content[-12:]


def test_words_with_spaces(tmp_path):
    words = [". . .", "the", "at name@domain.com", "New York", "at"]
    for content in (text(words, VALUES[:5]), text(words, VALUES[:5], header=True), text(words[1:2] + words, VALUES[[1, 0, 1, 2, 3, 4]])):
        vectors = read(write(tmp_path / "v", content), words)
        assert vectors.found.all() and np.array_equal(vectors.values, VALUES[:5])


def test_the_word_as_it_is_goes_before_other_cases_and_the_first_before_later_ones(tmp_path):
    words = ["CERN", "Cern", "TOP", "top", "top", "Ω"]
    for content in (text(words, VALUES[:6]), binary(words, VALUES[:6])):
        vectors = read(write(tmp_path / "v", content), ["cern", "Cern", "top", "Top", "ω", "TOP", "to"])
        assert vectors.found.tolist() == [True] * 6 + [False]
        assert np.array_equal(vectors.values[:6], VALUES[[0, 1, 3, 2, 5, 2]])
        assert vectors.total == 6


def test_a_file_without_any_of_the_words_is_no_fault(tmp_path):
    vectors = read(write(tmp_path / "v", text()), ["absent", "too"])
    assert not vectors.found.any() and not vectors.values.any()


def test_numbers_in_all_their_forms(tmp_path):
    vectors = read(write(tmp_path / "v", b"a 1 -2.5e-3 +.5\nb 0 1E2  -0\n1 2 3 4\n"), ["a", "b", "1"])
    assert vectors.values.tolist() == [[1, np.float32(-2.5e-3), 0.5], [0, 100, 0], [2, 3, 4]]


def test_a_line_with_another_number_of_numbers_is_named(fault):
    for header in (b"", b"3 3\n"):
        line = 2 + bool(header)
        for wrong, numbers in ((b"b 1 2", 2), (b"b 1 2 3 4", 4), (b"b", 0), (b"b 1 2 3 4 5", 5), (b"b 1  2", 2)):
            code, said = fault(header + b"a 1 2 3\n" + wrong + b"\nc 1 2 3\n", ["b"])
            assert code == "mixed-lengths" and f"line {line} has {numbers} numbers after its word, not 3" in said
            assert fault(header + b"a 1 2 3\n" + wrong + b"\nc 1 2 3\n", ["c"]) == (code, said)
    assert fault(b"3 4\na 1 2 3\n")[0] == "mixed-lengths"


def test_what_is_no_number_is_named_with_its_line(fault):
    for wrong in (b"x", b"1_0", b"0,5", b"--1", "½".encode()):
        code, said = fault(b"a 1 2 3\nthe 1 " + wrong + b" 3\n")
        assert code == "unreadable-file" and "line 2" in said and "where a number is expected" in said
        assert fault(b"the 1 " + wrong + b" 3\n") == (code, said.replace("line 2", "line 1"))
    assert "'x'" in fault(b"1 3\nthe 1 x 3\n")[1]


def test_values_that_are_not_finite_are_named(fault, tmp_path):
    for wrong in (b"nan", b"inf", b"-Infinity", b"1e39"):
        code, said = fault(b"a 1 2\nboson 1 " + wrong + b"\n")
        assert code == "not-finite" and "line 2" in said and "'boson'" in said
    values = VALUES.copy()
    values[7, 2] = np.nan
    code, said = fault(binary(values=values))
    assert code == "not-finite" and "word 8" in said and "'boson'" in said
    assert read(write(tmp_path / "v", b"a 1 2\nboson 1 nan\n"), ["a"]).found.all()  # not wanted, not looked at


def test_words_that_are_not_utf8_are_named(fault, tmp_path):
    for content in (b"a 1 2\ncaf\xe9 1 2\n", b"2 2\na 1 2\ncaf\xe9 1 2\n"):
        code, said = fault(content)
        assert code == "unreadable-file" and f"line {content.count(10)}" in said and "UTF-8" in said
    assert "word 1," in fault(binary(["x"], VALUES[:1]).replace(b"x", b"\xff"))[1]
    cut = b"x" * 96 + "ü".encode()[:1]  # as word2vec leaves long words
    assert read(write(tmp_path / "v", b"a 1 2\n" + cut + b" 1 2\n"), ["a"]).total == 2


def test_files_without_vectors_are_named(fault):
    for content in (b"", b"\n", b"0 300\n", b"5 0\na\n", b"word\n", b"a,1,2\n", b"%PDF-1.7 \x00\n", b"9 99999999999\n"):
        assert fault(content)[0] == "no-vectors", content
        assert fault(gzip.compress(content))[0] == "no-vectors", content


def test_other_files_are_named_with_what_to_do(fault, tmp_path):
    model = (793712314).to_bytes(4, "little") + bytes(range(100))
    for content in (model, gzip.compress(model)):
        code, said = fault(content)
        assert code == "unreadable-file" and "model of fastText" in said
    with pytest.raises(DataError) as caught:
        read(write(tmp_path / "v", model), ["a"])
    assert ".vec" in caught.value.mistakes[0].remedy
    assert "zip" in fault(b"PK\x03\x04rest")[1]
    assert "line 2 is longer" in fault(b"a 1 2\n" + b"x" * 2_000_000)[1]


@pytest.mark.parametrize("words", [WORDS, []])
def test_a_header_that_promises_other_numbers_than_there_are(fault, tmp_path, words):
    promised = f"{len(WORDS)} 5".encode()
    for content in (text(header=True), binary()):
        code, said = fault(content.replace(promised, b"12 5", 1), words)
        assert code == "unreadable-file" and "12" in said
        assert fault(content.replace(promised, b"300000000000 5", 1), words)[0] == "unreadable-file"
    assert "goes on after the 10" in fault(binary().replace(promised, b"10 5", 1), words)[1]
    assert fault(text(header=True).replace(promised, b"11 4", 1), words)[0] == "mixed-lengths"
    assert fault(binary().replace(promised, b"11 7", 1), words)[0] == "unreadable-file"
    more = text(header=True).replace(promised, b"10 5", 1)  # words that someone added; each line is checked anyway
    assert read(write(tmp_path / "v", more), words).total == 11


@pytest.mark.parametrize("name", ["vec", "bin", "bin, no line ends", "gz of vec", "gz of bin"])
def test_a_file_cut_off_anywhere_is_named(fault, name):
    content = gzip.compress(FORMATS[name[6:]]) if name.startswith("gz") else FORMATS[name]
    last = max(content.rstrip().rfind(b" "), len(content) - 30) if name == "vec" else len(content.rstrip(b"\n"))
    for size in range(1, last):
        code = fault(content[:size])[0]
        as_text = name == "vec" or size < (2 if name.startswith("gz") else 30)  # less than a binary word looks like text
        assert code == "unreadable-file" or (as_text and code in ("mixed-lengths", "no-vectors")), size


def test_damage_in_a_gzipped_file_is_named(fault):
    content = bytearray(gzip.compress(FORMATS["vec"]))
    content[-6] ^= 1  # its checksum
    assert fault(bytes(content))[0] == "unreadable-file"
    assert fault(gzip.compress(FORMATS["vec"])[:30] + b"\xff" * 300)[0] == "unreadable-file"


def test_a_file_that_cannot_be_opened_is_named(tmp_path):
    with pytest.raises(DataError) as caught:
        read(tmp_path, ["a"])  # a folder
    assert caught.value.mistakes[0].code == "unreadable-file"


@pytest.mark.parametrize("kind", ["text", "binary", "gzipped"])
def test_memory_does_not_grow_with_the_file(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(word_vectors, "BLOCK_BYTES", 1 << 14)
    count, size = 30_000, 100
    row = rng.normal(size=(1, size)).astype(np.float32)
    one = (binary(["w"], row) if kind == "binary" else text(["w"], row, header=True)).split(b"\n", 1)[1]
    content = f"{count} {size}\n".encode() + b"".join(b"w%05d" % i + one[1:] for i in range(count))
    path = write(tmp_path / "v", gzip.compress(content, 1) if kind == "gzipped" else content)
    assert len(content) > 11_000_000
    del content
    tracemalloc.start()
    vectors = read(path, ["w00000", "w29999", "w30000"])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert vectors.total == count and vectors.found.tolist() == [True, True, False]
    assert np.array_equal(vectors.values[1], row[0])
    assert peak < 500_000


def test_shares_of_words_without_a_vector():
    vocabulary = Vocabulary(("a", "b", "c", "d", "e", "f"))
    found = np.array([True, False, False, True, False, False])
    tokens = np.array([[2, 2, 3, 4, 1, 1], [4, 4, 6, 0, 0, 0]])  # a a b c ? ?, c c e
    running, distinct, missing = out_of_vocabulary(tokens, vocabulary, found)
    assert running == 7 / 9  # all but a a
    assert distinct == 4 / 5  # b, c, e and the unknown, of these and a
    assert missing == [("c", 3), ("b", 1), ("e", 1)]
    assert out_of_vocabulary(tokens, vocabulary, found, most=1)[2] == [("c", 3)]
    assert out_of_vocabulary(tokens[:, :2], vocabulary, ~found)[0] == 2 / 4
    assert out_of_vocabulary(np.zeros((2, 3), int), vocabulary, found) == (0.0, 0.0, [])
    assert out_of_vocabulary(np.ones((2, 3), int), Vocabulary(()), np.empty(0, bool)) == (1.0, 1.0, [])


def test_from_texts_to_vectors(tmp_path):
    vocabulary = learn(["The Higgs boson", "the τ"], 10)
    vectors = read(write(tmp_path / "v", text()), vocabulary.words)
    assert vectors.found.all() and np.array_equal(vectors.values[vocabulary.words.index("higgs")], VALUES[4])

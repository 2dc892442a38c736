"""Texts become words as physicists write them, codes by frequency, and bags whose squares are shares."""

from __future__ import annotations

import unicodedata
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl_phys.text_tokens import (
    FIRST,
    LONGEST,
    PADDING,
    UNKNOWN,
    Vocabulary,
    bag,
    encode,
    learn,
    typical_length,
    words,
)

TEXTS = st.lists(st.none() | st.text(max_size=60) | st.lists(st.sampled_from("abcdeé"), max_size=30).map(" ".join), max_size=12)


@pytest.mark.parametrize(("text", "expected"), [
    ("The W-boson decays.", "the w boson decays"),
    ("don't DON’T", "don't don't"),
    ("Einstein's ATLAS’s detectors' it's rock'n'roll", "einstein atlas detectors it rock'n'roll"),
    ("tau21 > 0.5, 13 TeV or 13.6TeV", "tau21 0.5 13 tev or 13.6 tev"),
    ("13TeV 2jet", "13tev 2jet"),
    ("1,000 events; cuts 1,2,3 and 1,2345.", "1,000 events cuts 1 2 3 and 1 2345"),
    ("1,234,567.89 192.168.1.1", "1,234,567.89 192.168.1.1"),
    ("p < 1e-5, 1.5E+3 and -2.", "p 1e-5 1.5e+3 and 2"),
    ("0x1F 3e11ab 1.5e3x", "0x1f 3e11ab 1.5 e3x"),
    ("Z' and W′ but 'a' or the 'Z'", "z' and w' but a or the z"),
    ("ECAL_HV_trip __init__", "ecal hv trip init"),
    (r"$p_{T}^{miss}$, $\alpha_s$", r"p t miss alpha s"),
    ("tt̄H e+e− → µµ Σ", "tt̄h e e µµ σ"),
    ("हिन्दी Straße ΟΔΟΣ café", "हिन्दी straße οδος café"),
    ("de\u00adtector\u00a0noise\nhot\ttower", "detector noise hot tower"),
    ("2024-01-31 12:30", "2024 01 31 12 30"),
    ("", ""), (" -- ' ’ _ \n", "")])
def test_words_as_physicists_write_them(text, expected):
    assert words(text) == expected.split()


def test_cases_are_kept_on_demand():
    assert words("W-boson's DON'T McGill'S 5E-3", cased=True) == ["W", "boson", "DON'T", "McGill", "5E-3"]
    assert learn(["Top top TOP Top"], 9, cased=True).words == ("Top", "TOP", "top")
    assert learn(["Top top TOP Top"], 9).words == ("top",)
    vocabulary = learn(["Top"], 9, cased=True)
    assert encode(["Top top"], vocabulary, 2, cased=True).tolist() == [[FIRST, UNKNOWN]]
    assert encode(["Top top"], vocabulary, 2).tolist() == [[UNKNOWN, UNKNOWN]]


def test_both_ways_to_write_an_accent_are_one_word():
    assert words(unicodedata.normalize("NFD", "Poincaré")) == words("Poincaré") == ["poincaré"]


@settings(max_examples=500)
@given(st.text(alphabet="aZsé'’_ 01.,-e+t̄\n") | st.text(), st.booleans())
def test_words_of_words_are_the_same_words(text, cased):
    found = words(text, cased)
    assert words(" ".join(found), cased) == found
    assert all(word and not set(word) & set(" _\n") for word in found)


def test_the_most_frequent_words_come_first_and_equal_ones_by_the_alphabet():
    texts = ["b a c", None, "c d", "", "a é c", "zz"]
    assert learn(texts, 100).words == ("c", "a", "b", "d", "zz", "é")
    assert learn(texts, 2).words == ("c", "a")
    assert learn(texts, 100, least=2).words == ("c", "a")
    assert learn(texts, 100, least=4).words == learn(texts, 0).words == learn([None, ""], 9).words == ()


@given(TEXTS, st.integers(0, 20), st.integers(1, 3), st.randoms())
def test_a_vocabulary_does_not_depend_on_the_order_of_texts(texts, most, least, random):
    learnt = learn(texts, most, least)
    shuffled = list(texts)
    random.shuffle(shuffled)
    assert learn(iter(shuffled), most, least) == learnt
    counts = Counter(word for text in texts for word in words(text or ""))
    assert len(learnt.words) == min(most, sum(count >= least for count in counts.values()))
    told = [counts[word] for word in learnt.words]
    assert told == sorted(counts.values(), reverse=True)[:len(told)]


def test_codes_are_positions_after_padding_and_unknown():
    vocabulary = Vocabulary(("higgs", "boson"))
    assert (PADDING, UNKNOWN, FIRST) == (0, 1, 2)
    assert (vocabulary.code, vocabulary.size) == ({"higgs": 2, "boson": 3}, 4)
    codes = encode(["the Higgs boson", None, "", "boson boson boson boson Higgs"], vocabulary, 4)
    assert codes.dtype == np.int32
    assert codes.tolist() == [[1, 2, 3, 0], [0, 0, 0, 0], [0, 0, 0, 0], [3, 3, 3, 3]]
    assert encode([], vocabulary, 4).shape == (0, 4)
    assert encode(["a"], Vocabulary(()), 2).tolist() == [[1, 0]]


@given(TEXTS, st.integers(1, 10), st.integers(1, 10))
def test_codes_lead_back_to_the_words(texts, most, length):
    vocabulary = learn(texts, most)
    names = {code: word for word, code in vocabulary.code.items()}
    codes = encode(texts, vocabulary, length)
    assert codes.shape == (len(texts), length)
    for text, row in zip(texts, codes.tolist(), strict=True):
        expected = words(text or "")[:length]
        assert row[len(expected):] == [PADDING] * (length - len(expected))
        assert [names.get(code) for code in row[:len(expected)]] == [word if word in vocabulary.words else None for word in expected]


def test_the_typical_length_holds_95_percent_of_the_texts():
    texts = [" ".join(["jet"] * count) for count in range(1, 101)]
    assert typical_length(texts) == 95
    assert typical_length(iter(texts[::-1])) == 95
    assert typical_length([*texts, *[None, "", "--"] * 1000]) == 95  # these say nothing of the others
    assert typical_length(["a"] * 99 + ["a b c"]) == 1
    assert typical_length(["a"] * 9 + ["a b c"]) == 3
    assert typical_length([]) == typical_length([None, ""]) == 1
    assert typical_length(["jet " * 600]) == LONGEST == 512


def test_a_bag_holds_square_roots_of_shares():
    bags = bag(np.array([[2, 3, 3, 3], [1, 4, 0, 0], [0, 0, 0, 0]], np.int32), 6)
    assert bags.dtype == np.float32
    shares = [[0, 0, 1 / 4, 3 / 4, 0, 0], [0, 1 / 2, 0, 0, 1 / 2, 0], [0] * 6]
    assert np.allclose(bags, np.sqrt(shares), atol=1e-7)
    with pytest.raises(ValueError, match="do not fit"):
        bag(np.array([[2, 6]]), 6)
    with pytest.raises(ValueError, match="do not fit"):
        bag(np.array([[-1, 2]]), 6)
    assert bag(np.zeros((0, 4), np.int32), 6).shape == (0, 6)
    assert bag(np.zeros((2, 0), np.int32), 6).tolist() == [[0] * 6] * 2


@given(st.integers(1, 8), st.integers(1, 6), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_bags_do_not_depend_on_padding_order_or_blocks(rows, length, size, seed):
    rng = np.random.default_rng(seed)
    tokens = rng.integers(0, size, (rows, length))
    bags = bag(tokens, size)
    assert np.allclose((bags ** 2).sum(1), (tokens > 0).any(1), atol=1e-6)
    assert not bags[:, PADDING].any()
    padded = np.pad(rng.permuted(tokens, axis=1), ((0, 0), (0, 3)))
    assert np.array_equal(bag(padded, size), bags)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("automl_phys.text_tokens.BLOCK_COUNTS", 2 * size)
        assert np.array_equal(bag(tokens, size), bags)

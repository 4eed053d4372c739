"""The generated corpus: split, labels and words are what the module promises."""

import itertools
import random
import re

import pytest

from cola_sweep.synthetic import GRAMMAR, HELD_OUT_WORDS, TRAINING_WORDS, Lexicon, fill, generate


def words_of(lexicon: Lexicon) -> set[str]:
    """Every form of every word of a lexicon."""
    entries = itertools.chain.from_iterable(lexicon.words.values())
    return set(itertools.chain.from_iterable([entry] if isinstance(entry, str) else entry for entry in entries))


def words_in(sentences: list[str]) -> set[str]:
    return {form for sentence in sentences for word in re.findall(r"\w+", sentence) for form in (word, word.lower())}


def test_the_same_seed_gives_the_same_rows_and_another_seed_gives_others():
    assert generate(0) == generate(0)
    assert generate(0) != generate(1)


def test_sizes_domains_and_share_of_acceptable_sentences():
    train, valid = generate(0)
    assert (len(train), len(valid)) == (4000, 600)
    assert {row.domain for row in train} == {"in"}
    assert [sum(row.domain == domain for row in valid) for domain in ("in", "out")] == [300, 300]
    for rows in (train, valid):
        assert 0.45 < sum(row.label for row in rows) / len(rows) < 0.55


def test_sizes_are_parameters():
    train, valid = generate(3, train_size=50, valid_size=7)
    assert (len(train), len(valid)) == (50, 7)


def test_no_sentence_comes_twice_in_or_across_splits():
    train, valid = generate(0)
    sentences = [row.sentence for row in train + valid]
    assert len(set(sentences)) == len(sentences)


@pytest.mark.parametrize("label", [0, 1])
def test_every_phenomenon_comes_with_both_labels_in_every_part(label):
    train, valid = generate(0)
    for rows in (train, [row for row in valid if row.domain == "in"], [row for row in valid if row.domain == "out"]):
        assert {row.source for row in rows if row.label == label} == set(GRAMMAR)


def test_the_lexicons_share_no_word_and_valid_uses_none_of_the_training_words():
    training, held_out = words_of(TRAINING_WORDS), words_of(HELD_OUT_WORDS)
    assert not training & held_out
    train, valid = generate(0)
    assert not words_in([row.sentence for row in valid]) & training
    assert not words_in([row.sentence for row in train]) & held_out


def test_no_template_is_both_seen_and_unseen():
    seen = {pattern for phenomenon in GRAMMAR.values() for template in phenomenon.seen for pattern in template}
    unseen = {pattern for phenomenon in GRAMMAR.values() for template in phenomenon.unseen for pattern in template}
    assert not seen & unseen


def test_no_sentence_of_the_grammar_is_acceptable_by_one_template_and_not_by_another():
    rng = random.Random(0)
    drawn: tuple[set[str], set[str]] = (set(), set())
    for phenomenon in GRAMMAR.values():
        for template in (*phenomenon.seen, *phenomenon.unseen):
            for _ in range(300):
                drawn[0].add(fill(template.unacceptable, TRAINING_WORDS, rng))
                drawn[1].add(fill(template.acceptable, TRAINING_WORDS, rng))
    assert not drawn[0] & drawn[1]


def test_sentences_are_written_as_english_is():
    for row in itertools.chain(*generate(0)):
        assert re.fullmatch(r"[A-Z][a-z]*( [A-Za-z]+)+[.?]", row.sentence)
        assert not re.search(r"\b[Aa] [aeiou]|\b[Aa]n [^aeiou]", row.sentence)


@pytest.mark.parametrize(
    ("pattern", "sentences"),
    [
        ("{w1.base} {w1.s} {w1.past} {w1.part} {w1.ing}", {"Carry carries carried carried carrying"}),
        ("{w2.base} {w2.s} {w2.past} {w2.part} {w2.ing}", {"Steal steals stole stolen stealing"}),
        ("{w3.s} {w3.past} {w3.ing}", {"Drops dropped dropping"}),
        ("{n1.sg} {n1.pl}", {"Child children"}),
        ("{t1.sg} {t1.pl}", {"City cities"}),
        ("a {a1} {t1.sg}", {"An old city"}),
    ],
)
def test_word_forms(pattern, sentences):
    words = {"1": "carry", "2": "steal:stole:stolen", "3": "drop:dropped"}
    number = re.search(r"w(\d)", pattern)
    lexicon = Lexicon.read(w=words[number[1]] if number else "", n="child:children", t="city", a="old")
    assert {fill(re.sub(r"w\d", "w1", pattern), lexicon, random.Random(0))} == sentences


def test_two_slots_of_a_kind_get_different_words():
    lexicon = Lexicon.read(f="Mary Susan")
    drawn = {fill("{f1} saw {f2}.", lexicon, random.Random(seed)) for seed in range(20)}
    assert drawn == {"Mary saw Susan.", "Susan saw Mary."}

"""An acceptability corpus from a grammar of our own, for machines that have neither CoLA nor a network.

A template is a pair of patterns, one acceptable and one not, that differ in one phenomenon. Training sentences use
the training words in the seen templates. Development sentences use other words throughout: half of them in seen
templates (domain "in"), half in templates that training never shows (domain "out").

Half of the sentences are acceptable, not 70 % as in CoLA: at CoLA's share small encoders stay longer with the constant
answer, and the corpus is there to show learning within minutes. They are drawn one by one, so that the two sentences
of a pair seldom meet.

Imports nothing of ours.
"""

import itertools
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

ACCEPTABLE_SHARE = 1 / 2


class Row(NamedTuple):
    """One sentence: label 1 is acceptable; source its phenomenon or origin; domain "in" or "out"."""

    sentence: str
    label: int
    source: str
    domain: str


class Noun(NamedTuple):
    sg: str
    pl: str


class Verb(NamedTuple):
    base: str
    s: str
    past: str
    part: str
    ing: str


def _noun(entry: str) -> Noun:
    """`child:children`, or a noun with a regular plural."""
    singular, _, plural = entry.partition(":")
    return Noun(singular, plural or re.sub(r"([^aeiou])y$", r"\1ie", singular) + "s")


def _verb(entry: str) -> Verb:
    """`steal:stole:stolen`, `drop:dropped` (the final consonant doubles), or a regular verb."""
    base, past, part = [*entry.split(":"), "", ""][:3]
    stem = base.removesuffix("e")
    doubled = base + base[-1] if past == base + base[-1] + "ed" else stem
    third = re.sub(r"([^aeiou])y$", r"\1ie", base) + ("es" if re.search(r"(s|sh|ch|x)$", base) else "s")
    past = past or (re.sub(r"([^aeiou])y$", r"\1i", stem) + "ed")
    return Verb(base, third, past, part or past, doubled + "ing")


@dataclass(frozen=True)
class Lexicon:
    """Words by the letter that names their slot: {n1.sg} and {n2.sg} are two different persons."""

    words: Mapping[str, Sequence[Noun | Verb | str]]

    @classmethod
    def read(cls, **entries: str) -> "Lexicon":
        makers: dict[str, Callable[[str], Noun | Verb | str]]
        makers = dict.fromkeys("nt", _noun) | dict.fromkeys("vwicg", _verb)
        return cls({slot: [makers.get(slot, str)(word) for word in text.split()] for slot, text in entries.items()})


# f, m: names of women and men; n: persons; t: things; l: places; a: adjectives of persons; b: adverbs;
# v: verbs that need a person as object; w: verbs with a thing as object; i: verbs without object;
# c: verbs with a to-infinitive, and g: with a gerund, that refuse the other one.
TRAINING_WORDS = Lexicon.read(
    f="Mary Susan Anna Laura Emily Sarah Julia Helen Alice Karen",
    m="John Peter David Robert Paul James George Henry Frank Simon",
    n="teacher doctor lawyer student farmer artist singer pilot nurse waiter guard driver child:children soldier poet",
    t="table lamp bottle guitar bicycle camera blanket mirror basket ladder kettle piano",
    l="garden kitchen library station park tower",
    a="kind tall angry happy brave rude clever nervous quiet proud",
    b="often always rarely usually",
    v="admire praise blame insult thank ignore comfort despise flatter invite rescue betray",
    w="find:found buy:bought carry repair borrow steal:stole:stolen clean polish choose:chose:chosen examine",
    i="sleep:slept vanish faint sneeze giggle smile arrive snore shiver hesitate",
    c="decide want refuse",
    g="enjoy finish",
)
HELD_OUT_WORDS = Lexicon.read(
    f="Linda Rachel Maria Jessica Nancy Carol Diana Emma",
    m="Michael Thomas William Daniel Edward Kevin Martin Oliver",
    n="engineer actor sailor butcher professor gardener woman:women writer baker dancer banker priest",
    t="chair clock violin wagon radio pillow statue bucket hammer suitcase",
    l="office museum hallway airport church",
    a="polite short sad lazy honest cheerful lonely gentle",
    b="never frequently seldom",
    v="adore greet console detest reassure accompany recognize congratulate mislead:misled",
    w="sell:sold wash paint inspect break:broke:broken lift drop:dropped collect fetch",
    i="yawn disappear cough laugh tremble stumble depart kneel:knelt",
    c="agree hope manage",
    g="avoid keep:kept",
)


class Template(NamedTuple):
    acceptable: str
    unacceptable: str


class Phenomenon(NamedTuple):
    seen: Sequence[Template]
    unseen: Sequence[Template]


GRAMMAR: Mapping[str, Phenomenon] = {
    "subject-verb agreement": Phenomenon(
        seen=(
            Template("The {n1.sg} {i1.s}.", "The {n1.sg} {i1.base}."),
            Template("The {n1.pl} {v1.base} the {n2.sg}.", "The {n1.pl} {v1.s} the {n2.sg}."),
            Template("The {n1.sg} near the {n2.pl} {v1.s} {f1}.", "The {n1.sg} near the {n2.pl} {v1.base} {f1}."),
            Template("The {n1.pl} behind the {n2.sg} are {a1}.", "The {n1.pl} behind the {n2.sg} is {a1}."),
            Template("The {t1.sg} in the {l1} was old.", "The {t1.sg} in the {l1} were old."),
            Template("The {n1.pl} have {i1.part}.", "The {n1.pl} has {i1.part}."),
            Template("The {n1.sg} that {f1} {v1.past} is {a1}.", "The {n1.sg} that {f1} {v1.past} are {a1}."),
        ),
        unseen=(
            Template(
                "The {n1.sg} who {v1.past} the {n2.pl} is {a1}.", "The {n1.sg} who {v1.past} the {n2.pl} are {a1}."
            ),
            Template(
                "The {n1.pl} that {m1} {v1.past} have {i1.part}.", "The {n1.pl} that {m1} {v1.past} has {i1.part}."
            ),
        ),
    ),
    "binding": Phenomenon(
        seen=(
            Template("{f1} {v1.past} herself.", "{f1} {v1.past} himself."),
            Template("{m1} {v1.past} himself.", "{m1} {v1.past} herself."),
            Template("The {n1.pl} {v1.past} themselves.", "The {n1.pl} {v1.past} himself."),
            Template(
                "{f1} said that the {n1.pl} {v1.past} themselves.", "{f1} said that the {n1.pl} {v1.past} herself."
            ),
            Template("{f1} said that {m1} {v1.past} himself.", "{f1} said that {m1} {v1.past} herself."),
            Template(
                "The {n1.pl} said that {f1} {v1.past} herself.", "The {n1.pl} said that {f1} {v1.past} themselves."
            ),
        ),
        unseen=(
            Template("{m1} thinks that {f1} {v1.past} herself.", "{m1} thinks that {f1} {v1.past} himself."),
            Template(
                "The {n1.pl} expected {m1} to {v1.base} himself.", "The {n1.pl} expected {m1} to {v1.base} themselves."
            ),
        ),
    ),
    "determiner-noun agreement": Phenomenon(
        seen=(
            Template("This {n1.sg} {i1.past}.", "These {n1.sg} {i1.past}."),
            Template("{f1} {w1.past} these {t1.pl}.", "{f1} {w1.past} this {t1.pl}."),
            Template("Those {a1} {n1.pl} {i1.past}.", "That {a1} {n1.pl} {i1.past}."),
            Template("Every {n1.sg} {v1.past} {m1}.", "Every {n1.pl} {v1.past} {m1}."),
        ),
        unseen=(
            Template("{m1} {w1.past} both {t1.pl}.", "{m1} {w1.past} both {t1.sg}."),
            Template("Several {a1} {n1.pl} {v1.past} {f1}.", "Several {a1} {n1.sg} {v1.past} {f1}."),
        ),
    ),
    "word order": Phenomenon(
        seen=(
            Template("The {n1.sg} {v1.past} the {n2.sg}.", "{v1.past} the {n1.sg} the {n2.sg}."),
            Template("The {a1} {n1.sg} {v1.past} {m1}.", "The {n1.sg} {a1} {v1.past} {m1}."),
            Template("{f1} {b1} {v1.s} the {n1.pl}.", "{f1} {v1.s} {b1} the {n1.pl}."),
            Template("{m1} {w1.past} a {t1.sg} in the {l1}.", "{m1} {w1.past} a {t1.sg} the in {l1}."),
        ),
        unseen=(
            Template("{m1} gave the {n1.sg} a {t1.sg}.", "{m1} gave a {t1.sg} the {n1.sg}."),
            Template("A very {a1} {n1.sg} {i1.past}.", "A {a1} very {n1.sg} {i1.past}."),
        ),
    ),
    "wh-movement": Phenomenon(
        seen=(
            Template("Which {t1.sg} did the {n1.sg} {w1.base}?", "Which {t1.sg} the {n1.sg} did {w1.base}?"),
            Template("Who did {f1} {v1.base}?", "Who {f1} {v1.past}?"),
            Template(
                "Who did {m1} say that the {n1.pl} {v1.past}?", "Who did {m1} say that the {n1.pl} {v1.past} {f1}?"
            ),
            Template(
                "What did {m1} {w1.base} before {f1} {i1.past}?", "What did {m1} {i1.base} before {f1} {w1.past}?"
            ),
        ),
        unseen=(
            Template(
                "Who did {f1} claim that the {n1.sg} {v1.past}?",
                "Who did {f1} hear the claim that the {n1.sg} {v1.past}?",
            ),
            Template("What did {m1} {w1.base} besides the {t1.sg}?", "What did {m1} {w1.base} the {t1.sg} and?"),
        ),
    ),
    "negative polarity": Phenomenon(
        seen=(
            Template("No {n1.sg} has ever {v1.part} {f1}.", "The {n1.sg} has ever {v1.part} {f1}."),
            Template("{m1} has not {w1.part} any {t1.pl}.", "{m1} has {w1.part} any {t1.pl}."),
            Template("Nobody {v1.past} {f1} at all.", "Somebody {v1.past} {f1} at all."),
            Template("{f1} did not {v1.base} any {n1.pl}.", "{f1} {v1.past} any {n1.pl}."),
            Template("Has the {n1.sg} {w1.part} any {t1.pl}?", "The {n1.sg} has {w1.part} any {t1.pl}."),
            Template("{m1} doubts that {f1} {v1.past} any {n1.pl}.", "{m1} knows that {f1} {v1.past} any {n1.pl}."),
        ),
        unseen=(
            Template(
                "{f1} doubts that the {n1.sg} has ever {i1.part}.", "{f1} knows that the {n1.sg} has ever {i1.part}."
            ),
            Template("Has {m1} ever {v1.part} the {n1.sg}?", "{m1} has ever {v1.part} the {n1.sg}."),
        ),
    ),
    "argument structure": Phenomenon(
        seen=(
            Template("{f1} {v1.past} the {n1.sg}.", "{f1} {v1.past}."),
            Template("The {n1.sg} {i1.past} in the {l1}.", "The {n1.sg} {i1.past} {m1} in the {l1}."),
            Template("{m1} {i1.past} yesterday.", "{m1} {v1.past} yesterday."),
            Template("The {n1.pl} {w1.past} the {t1.sg}.", "The {n1.pl} {i1.past} the {t1.sg}."),
        ),
        unseen=(
            Template("{f1} put the {t1.sg} in the {l1}.", "{f1} put in the {l1}."),
            Template("The {n1.sg} relied on {m1}.", "The {n1.sg} relied {m1}."),
            Template("{m1} made the {n1.sg} {i1.base}.", "{m1} {i1.past} the {n1.sg}."),
        ),
    ),
    "verb form": Phenomenon(
        seen=(
            Template("{f1} has {w1.part} the {t1.sg}.", "{f1} has {w1.ing} the {t1.sg}."),
            Template("{m1} is {w1.ing} the {t1.pl}.", "{m1} is {w1.base} the {t1.pl}."),
            Template("The {n1.pl} will {i1.base}.", "The {n1.pl} will {i1.past}."),
            Template("The {n1.sg} did not {v1.base} {f1}.", "The {n1.sg} did not {v1.past} {f1}."),
        ),
        unseen=(
            Template("{f1} must have {v1.part} the {n1.sg}.", "{f1} must has {v1.part} the {n1.sg}."),
            Template("The {n1.pl} can {w1.base} the {t1.sg}.", "The {n1.pl} can {w1.ing} the {t1.sg}."),
            Template("Does the {n1.sg} {v1.base} {m1}?", "Does the {n1.sg} {v1.s} {m1}?"),
        ),
    ),
    "coordination": Phenomenon(
        seen=(
            Template("{f1} and {m1} {v1.past} the {n1.sg}.", "{f1} and {v1.past} the {n1.sg}."),
            Template("The {n1.sg} {i1.past} and {i2.past}.", "The {n1.sg} {i1.past} and {i2.ing}."),
            Template("Both {f1} and the {n1.sg} {i1.past}.", "Both {f1} or the {n1.sg} {i1.past}."),
            Template("{m1} or {f1} {v1.past} the {n1.sg}.", "{m1} or {v1.past} the {n1.sg}."),
            Template("Neither {f1} nor {m1} {i1.past}.", "Neither {f1} and {m1} {i1.past}."),
            Template("{m1} {w1.past} the {t1.sg} and the {t2.sg}.", "{m1} {w1.past} the {t1.sg} and {a1}."),
        ),
        unseen=(
            Template("Either {f1} or {m1} {i1.past}.", "Either {f1} and {m1} {i1.past}."),
            Template("The {n1.sg} is {a1} and {a2}.", "The {n1.sg} is {a1} and quickly."),
        ),
    ),
    "passive": Phenomenon(
        seen=(
            Template("{f1} was {v1.part} by the {n1.sg}.", "{f1} was {v1.base} by the {n1.sg}."),
            Template("The {n1.pl} were {v1.part} by {m1}.", "The {n1.pl} were {i1.part} by {m1}."),
            Template("The {t1.sg} was {w1.part} by the {n1.pl}.", "The {t1.sg} was {w1.ing} by the {n1.pl}."),
        ),
        unseen=(
            Template("{m1} has been {v1.part} by {f1}.", "{m1} has been {v1.base} by {f1}."),
            Template("The {t1.pl} are being {w1.part}.", "The {t1.pl} are been {w1.part}."),
        ),
    ),
    "pronoun case": Phenomenon(
        seen=(
            Template("{f1} {v1.past} him.", "{f1} {v1.past} he."),
            Template("They {v1.past} the {n1.sg}.", "Them {v1.past} the {n1.sg}."),
            Template("The {n1.pl} {i1.past} because she {i2.past}.", "The {n1.pl} {i1.past} because her {i2.past}."),
        ),
        unseen=(
            Template("The {n1.sg} gave her a {t1.sg}.", "The {n1.sg} gave she a {t1.sg}."),
            Template("{m1} says that they {w1.past} the {t1.sg}.", "{m1} says that them {w1.past} the {t1.sg}."),
        ),
    ),
    "complement clauses": Phenomenon(
        seen=(
            Template("{f1} {c1.past} to {w1.base} the {t1.sg}.", "{f1} {c1.past} {w1.ing} the {t1.sg}."),
            Template("{m1} {g1.past} {w1.ing} the {t1.sg}.", "{m1} {g1.past} to {w1.base} the {t1.sg}."),
            Template("{m1} believes that {f1} {i1.past}.", "{m1} believes that to {f1} {i1.past}."),
        ),
        unseen=(
            Template("{f1} persuaded {m1} to {w1.base} the {t1.sg}.", "{f1} persuaded to {w1.base} the {t1.sg}."),
            Template("It is possible that the {n1.sg} {i1.past}.", "It is possible that the {n1.sg} to {i1.base}."),
        ),
    ),
}


def generate(seed: int, train_size: int = 4000, valid_size: int = 600) -> tuple[list[Row], list[Row]]:
    """Training and development rows; the same seed and sizes give the same rows, and no sentence comes twice."""
    rng = random.Random(seed)
    seen = [(name, template) for name, phenomenon in GRAMMAR.items() for template in phenomenon.seen]
    unseen = [(name, template) for name, phenomenon in GRAMMAR.items() for template in phenomenon.unseen]
    valid = _draw(rng, seen, HELD_OUT_WORDS, "in", valid_size // 2)
    valid += _draw(rng, unseen, HELD_OUT_WORDS, "out", valid_size - valid_size // 2)
    return _draw(rng, seen, TRAINING_WORDS, "in", train_size), valid


def _draw(
    rng: random.Random, templates: Sequence[tuple[str, Template]], lexicon: Lexicon, domain: str, size: int
) -> list[Row]:
    """`size` different sentences, every template in turn, in random order."""
    rows: dict[str, Row] = {}
    for source, template in itertools.cycle(templates):
        if len(rows) == size:
            break
        label = int(rng.random() < ACCEPTABLE_SHARE)
        sentence = fill(template.acceptable if label else template.unacceptable, lexicon, rng)
        rows.setdefault(sentence, Row(sentence, label, source, domain))
    drawn = list(rows.values())
    rng.shuffle(drawn)
    return drawn


def fill(pattern: str, lexicon: Lexicon, rng: random.Random) -> str:
    """Put words into a pattern's slots, a different word into each slot."""
    slots = sorted(set(re.findall(r"{(\w)(\d)", pattern)))
    words: dict[str, Noun | Verb | str] = {}
    for letter in {letter: None for letter, _ in slots}:
        numbers = [number for slot, number in slots if slot == letter]
        chosen = rng.sample(lexicon.words[letter], len(numbers))
        words |= {letter + number: word for number, word in zip(numbers, chosen, strict=True)}
    sentence = re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", pattern.format(**words))
    return sentence[0].upper() + sentence[1:]

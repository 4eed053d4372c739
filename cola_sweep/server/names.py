"""Names the server mints: run ids, and display names such as `amber-heron-12`; and those that no entity can have.

Pure but for its dice.

>>> display_name(12, dice=random.Random(0))
'keen-sunset-12'
>>> display_name(3, sweep=True, dice=random.Random(0))
'keen-sweep-3'
"""

import random
import secrets
import string

ADJECTIVES = (  # noqa: SIM905
    "amber apt azure bold brave breezy bright brisk calm candid cedar clear cosmic crisp curious dapper daring "
    "dawn deep deft distant dry eager earnest easy electric even fair faithful fast fearless fine firm fluent "
    "fond fresh gentle giddy glad golden good grand happy hardy honest humble icy jolly jumpy keen kind lively "
    "logical lucid lucky lunar mellow mild misty modest neat nimble noble olive open patient peachy plain "
    "pleasant polar polished prime proud quick quiet rapid ready robust rosy royal ruby sage scarlet serene sharp "
    "silver skilled smooth snowy solar spring stellar still summer sunny swift tidy topaz true upbeat vague "
    "valiant vivid warm wild wise woven zesty "
).split()

NOUNS = (  # noqa: SIM905
    "acorn aurora badger bamboo beacon bird blaze breeze brook canyon cedar cherry cloud comet coral cosmos crane "
    "creek darkness dawn deluge dew dove dragon dream dune eagle ember etchings falcon feather fern field fire "
    "firefly flower fog forest fox frog frost galaxy gale garden glacier glade glitter grass grove harbor haze "
    "heron hill jazz lake lark leaf lion meadow microwave mist monkey moon morning mountain night oath oasis "
    "ocean orchid otter owl paper pebble pine planet plasma pond puddle rain reef resonance ridge river sea "
    "shadow shape silence sky smoke snow sound sparrow star stream summit sun sunset surf terrain thunder totem "
    "tree valley violet voice water wave wind wood yogurt "
).split()

_ID_LETTERS = string.ascii_lowercase + string.digits


# What the server's own addresses begin with: pages of an entity of such a name could not be reached.
RESERVED = {
    "actions", "artifacts", "artifactsV2", "authorize", "data", "db", "favicon.ico", "files", "graphql", "held",
    "login", "ready", "sdk", "shown", "static", "storage",
}  # fmt: skip


class ReservedName(ValueError):
    """A name that no entity can have."""


def check_entity(name: str) -> None:
    """Let pass what an entity may be called.

    Raises:
        ReservedName: the server's own addresses begin with it.
    """
    if name in RESERVED:
        raise ReservedName(f"no entity can be called {name!r}: addresses of this server begin with it; take another")


def run_id() -> str:
    """A new run's id, as the client mints its own: eight letters or digits."""
    return "".join(secrets.choice(_ID_LETTERS) for _ in range(8))


def display_name(number: int, *, sweep: bool = False, dice: random.Random | None = None) -> str:
    """`adjective-noun-number` for the number-th run of a project, `adjective-sweep-number` for that of a sweep."""
    dice = dice or random.Random()
    return f"{dice.choice(ADJECTIVES)}-{'sweep' if sweep else dice.choice(NOUNS)}-{number}"

"""Names the server mints."""

import random
import re

from cola_sweep.server import names


def test_run_ids_look_like_the_clients_own_and_differ() -> None:
    made = {names.run_id() for _ in range(1000)}
    assert len(made) == 1000
    assert all(re.fullmatch("[a-z0-9]{8}", name) for name in made)


def test_display_names_say_which_run_it_is() -> None:
    assert re.fullmatch("[a-z]+-[a-z]+-12", names.display_name(12))
    assert re.fullmatch("[a-z]+-sweep-3", names.display_name(3, sweep=True))


def test_the_dice_are_passed_in() -> None:
    assert names.display_name(1, dice=random.Random(5)) == names.display_name(1, dice=random.Random(5))

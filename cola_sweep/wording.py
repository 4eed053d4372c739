"""Numbers and texts as a report writes them: with unit and sense of proportion. Pure; imports nothing of ours.

>>> show_value(5.35e-5), show_duration(83), count(2, "run")
('5.35e-5', '83 s', '2 runs')
"""

import math
from collections.abc import Iterable
from typing import Any

NOTHING = "–"


def missing(value: Any) -> bool:
    """None, NaN, NaT or <NA>."""
    return value is None or str(value) in ("<NA>", "NaT") or bool(value != value)


def show_metric(value: Any, sign: str = "") -> str:
    """Three decimals: `0.312`; very small and large numbers as in `show_value`. `sign="+"` writes a plus too."""
    if missing(value):
        return NOTHING
    number = float(value)
    if number and not 5e-4 <= abs(number) < 1000:
        return f"{'+' if sign and number > 0 else ''}{show_value(number)}"
    return f"{number:{sign}.3f}".replace("-", "−")


def show_lead(difference: float) -> str:
    """`higher by 0.022 than`, `lower by 0.022 than`, `equal to`."""
    word = "higher" if difference > 0 else "lower"
    return f"{word} by {show_metric(abs(difference))} than" if difference else "equal to"


def show_value(value: Any) -> str:
    """A setting: three significant digits (`5.35e-5` below 0.001), whole numbers whole, text as it is."""
    if missing(value):
        return NOTHING
    if isinstance(value, bool | str) or not hasattr(value, "__float__"):
        return str(value)
    number = float(value)
    if 0 < abs(number) < 1e-3:
        digits, _, exponent = f"{number:.2e}".partition("e")
        return f"{digits.rstrip('0').rstrip('.')}e{int(exponent)}" if "." in digits else f"{digits}e{int(exponent)}"
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else f"{number:.3g}"


def show_share(value: Any) -> str:
    """`71%`."""
    return NOTHING if missing(value) else f"{float(value):.0%}"


def show_count(value: Any) -> str:
    """`1,043`."""
    return NOTHING if missing(value) else f"{int(value):,}"


def show_p(value: float) -> str:
    """A p value: two digits, never 0."""
    return "< 0.001" if value < 0.001 else f"{value:.2g}" if value < 0.995 else "1"


def show_duration(seconds: Any) -> str:
    """`8.4 s`, `83 s`, `12 min`, `3.2 h`."""
    if missing(seconds) or not math.isfinite(seconds):
        return NOTHING
    if seconds < 600:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def show_amount(value: Any, unit: str) -> str:
    """A cost with its unit."""
    if missing(value):
        return NOTHING
    return show_duration(value) if unit == "s" else f"{value:,.0f} {unit}" if value >= 10 else f"{value:.3g} {unit}"


def show_range(low: Any, high: Any, sign: str = "") -> str:
    """`0.281 to 0.342`."""
    return NOTHING if missing(low) or missing(high) else f"{show_metric(low, sign)} to {show_metric(high, sign)}"


def count(n: int, noun: str, plural: str = "") -> str:
    """`1 run`, `1,043 sentences`."""
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def listed(words: Iterable[str]) -> str:
    """`a, b and c`."""
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last

"""How often a failed trial of a sweep is tried again, as its file says it: the constant `_retry` among its parameters.

    parameters:
      _retry: {value: 2}

Pure; imports the error and space. The embedded server does it. W&B's own servers know no such thing; there the file
means the same sweep without, for a trial ignores names that begin with `_`.
"""

from cola_sweep.errors import UserError
from cola_sweep.space import SweepSpec

NAME = "_retry"
MOST = 10


def retries(spec: SweepSpec) -> int:
    """How often each point may be tried again after it failed; 0 where the file says nothing.

    Raises:
        UserError: it says something else than a whole number.
    """
    for parameter in spec.parameters:
        if parameter.name == NAME:
            value = parameter.values[0] if parameter.distribution == "constant" else parameter.distribution
            if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST:
                rule = f"must be a whole number from 0 to {MOST}"
                raise UserError(f"parameters.{NAME}", got=value, rule=rule, fix=f"write {NAME}: {{value: 2}}")
            return value
    return 0

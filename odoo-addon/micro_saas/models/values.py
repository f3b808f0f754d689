"""Numbers as they are sold, and values as they travel between Odoo and the sidecar."""

import math
from datetime import datetime, timezone


def whole_units(quantity):
    """Return how many whole units a quantity has; 0 where it is negative or no finite number."""
    return max(math.floor(quantity), 0) if math.isfinite(quantity) else 0


def finite(value):
    """Return a value as JSON can carry it: what is no number, or infinite, is 0 in the copy.

    Numbers are checked when they are written; this is for what came into the database by another way.
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else 0.0
    if isinstance(value, dict):
        return {name: finite(part) for name, part in value.items()}
    if isinstance(value, list):
        return [finite(part) for part in value]
    return value


def seconds_of(moment):
    """Return a moment of Odoo's, which is in UTC, as seconds since 1970; 0 where there is none."""
    return moment.replace(tzinfo=timezone.utc).timestamp() if moment else 0


def moment_of(seconds):
    """Return seconds since 1970 as a moment of Odoo's; False where there are none."""
    return datetime.fromtimestamp(seconds, timezone.utc).replace(tzinfo=None, microsecond=0) if seconds else False


def is_finite(value):
    """Tell whether a value, or the commands of a one2many, hold no number that is not finite."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(is_finite(part) for part in value.values())
    return not isinstance(value, (list, tuple)) or all(is_finite(part) for part in value)


def write_changed(records, vals):
    """Write those of `vals` that differ, so that a report with no news leaves no trace.

    :param vals: field values as they come over RPC; "" and False both mean empty
    """
    for record in records:
        changed = {}
        for name, value in vals.items():
            field, value = record._fields[name], value or False
            old, new = (field.convert_to_cache(one, record) for one in (record[name], value))
            if old != new:
                changed[name] = value
        if changed:
            record.write(changed)

"""When an Odoo may be interrupted for an update: some hours of the day, where the company that sells it is."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo


def opening_at_or_after(moment, tz, begin, end):
    """Return when the window opened that is open at a moment, or else when the next one opens.

    :param moment: in UTC, without a time zone, as Odoo has it
    :param tz: the name of the time zone whose hours are meant
    :param begin: the hour of the day at which it opens, from 0.0 to below 24.0
    :param end: at which it closes; one that is not after `begin` is on the next day
    :return: a moment as the given one
    """
    zone = ZoneInfo(tz)
    today = moment.replace(tzinfo=UTC).astimezone(zone).date()
    # Yesterday's may be open still; tomorrow's closes after any moment of today.
    days = (today + timedelta(days=days) for days in (-1, 0, 1))
    return next(_moment(day, begin, zone) for day in days if _closing(day, begin, end, zone) > moment)


def _closing(day, begin, end, zone):
    """Return when the window closes that opens on a day."""
    return _moment(day if end > begin else day + timedelta(days=1), end, zone)


def _moment(day, hour, zone):
    minutes = round(hour * 60)
    local = datetime.combine(day, time(minutes // 60, minutes % 60), zone)
    return local.astimezone(UTC).replace(tzinfo=None)

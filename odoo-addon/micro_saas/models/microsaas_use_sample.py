"""What instances used lately: by the hour for a day, by the day for a month. What is older is gone."""

from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from odoo import api, fields, models
from odoo.release import version_info
from odoo.tools import SQL

from .by_hand import ByHand

UNIQUE = "UNIQUE(instance_id, period, at)"
UNIQUE_MESSAGE = "An instance has one sample of each hour and each day."
# How many are kept of each instance, the one that is not over yet included.
HOURS, DAYS = 24, 30


class MicrosaasUseSample(ByHand, models.Model):
    """What one instance used in one hour or on one day. An empty number was not known."""

    _name = "microsaas.use.sample"
    _description = "Use of an instance"
    _order = "at desc, id"
    _rec_name = "at"

    instance_id = fields.Many2one("odoo.docker.instance", "Instance", required=True, readonly=True, ondelete="cascade")
    company_id = fields.Many2one(related="instance_id.company_id")
    period = fields.Selection([("hour", "Hour"), ("day", "Day")], required=True, readonly=True)
    at = fields.Datetime("Begins", required=True, readonly=True, index=True, help="A day is the company's: its midnight, as written there.")
    memory_mb = fields.Integer("Memory (MB)", readonly=True, aggregator="max", help="The highest that was measured.")
    cpus = fields.Float(
        "Busy processors", readonly=True, aggregator="max", help="Of its quarters of an hour, the average of the busiest."
    )
    requests = fields.Integer(readonly=True, aggregator="sum")
    disk_mb = fields.Integer("Disk (MB)", readonly=True, aggregator="max", help="Files and database, as measured last.")

    if version_info[0] >= 19:
        _sample_uniq = models.Constraint(UNIQUE, UNIQUE_MESSAGE)
    else:
        _sql_constraints = [("sample_uniq", UNIQUE, UNIQUE_MESSAGE)]

    @api.model
    def _add(self, instance, at, use):
        """Count one measurement in its hour and its day.

        :param at: when it was made, in UTC
        :param use: dict of `memory_mb`, `cpus`, `requests` and `disk_mb`; None for what is not known
        """
        for period, begin in (("hour", at.replace(minute=0, second=0)), ("day", self._day_of(instance, at))):
            self.env.cr.execute(
                SQL(
                    """INSERT INTO microsaas_use_sample AS known (instance_id, period, at, memory_mb, cpus, requests, disk_mb)
                       VALUES (%s, %s, %s, %s, %s, %s, %s)
                       ON CONFLICT (instance_id, period, at) DO UPDATE
                          SET memory_mb = greatest(known.memory_mb, excluded.memory_mb),
                              cpus = greatest(known.cpus, excluded.cpus),
                              requests = CASE WHEN excluded.requests IS NULL THEN known.requests
                                              ELSE least(coalesce(known.requests, 0)::bigint + excluded.requests, 2147483647) END,
                              disk_mb = coalesce(excluded.disk_mb, known.disk_mb)""",
                    *(instance.id, period, begin),
                    *(use["memory_mb"], use["cpus"], use["requests"], use["disk_mb"]),
                )
            )
        self.invalidate_model()

    @api.model
    def _drop_old(self):
        """Drop what is older than a day by the hour, and than a month by the day."""
        now = fields.Datetime.now()
        self.env.cr.execute(
            SQL(
                "DELETE FROM microsaas_use_sample WHERE period = 'hour' AND at <= %s OR period = 'day' AND at < %s",
                now - timedelta(hours=HOURS),
                # The days of other time zones begin up to 14 hours earlier or later.
                now - timedelta(days=DAYS, hours=14),
            )
        )
        self.invalidate_model()

    @api.model
    def _lately(self, instance, period):
        """Return what is kept of one instance, oldest first, with None for hours or days without a measurement.

        :return: list of pairs of the moment (an hour in UTC, a day at its midnight) and a dict as `_add` takes, or None
        """
        now = fields.Datetime.now()
        if period == "hour":
            last, step, count = now.replace(minute=0, second=0, microsecond=0), timedelta(hours=1), HOURS
        else:
            last, step, count = self._day_of(instance, now), timedelta(days=1), DAYS
        found = self.env.execute_query(
            SQL(
                """SELECT at, memory_mb, cpus, requests, disk_mb FROM microsaas_use_sample
                    WHERE instance_id = %s AND period = %s AND at > %s""",
                *(instance.id, period, last - count * step),
            )
        )
        names = ("memory_mb", "cpus", "requests", "disk_mb")
        samples = {at: dict(zip(names, values, strict=True)) for at, *values in found}
        moments = [last - number * step for number in reversed(range(count))]
        return [(moment, samples.get(moment)) for moment in moments]

    @api.model
    def _day_of(self, instance, moment):
        """Return the midnight, as written where the instance's company is, of the day of a moment in UTC."""
        there = moment.replace(tzinfo=timezone.utc).astimezone(ZoneInfo(instance.company_id._microsaas_tz()))
        return datetime(there.year, there.month, there.day)

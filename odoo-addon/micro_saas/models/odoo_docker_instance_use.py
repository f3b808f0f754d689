"""What an instance uses, as the sidecar measures it, beside what its plan gives."""

from babel.dates import format_date, format_time
from babel.numbers import format_decimal

from odoo import api, fields, models
from odoo.tools.misc import babel_locale_parse, get_lang

from .values import moment_of, write_changed

# A chart's height, the width of a bar and the space between two, in units of its own.
CHART_HEIGHT, BAR, GAP = 40, 6, 2
# From this share of what the plan gives on, an instance is near its limit.
NEAR = 0.8


class OdooDockerInstance(models.Model):
    _inherit = "odoo.docker.instance"

    disk_mb = fields.Integer("Disk (MB)", readonly=True, copy=False, aggregator="sum", help="Files and database.")
    database_mb = fields.Integer("Database (MB)", readonly=True, copy=False, aggregator="sum", help="Part of what it has on the disk.")
    user_count = fields.Integer(
        "Users", readonly=True, copy=False, aggregator="sum", help="Internal users of its Odoo that are not archived."
    )
    use_measured_at = fields.Datetime(
        "Measured", readonly=True, copy=False, help="Every quarter of an hour while it runs. Stopped, it keeps its numbers."
    )
    use_html = fields.Html(
        "Use", compute="_compute_use_html", compute_sudo=True, sanitize=False, groups="base.group_user"
    )

    # -- what the sidecar reports ------------------------------------------------------------------

    @api.model
    def _apply_uses(self, uses):
        """Write what instances use; see `microsaas_report_use`. What was told before is counted once."""
        now = fields.Datetime.now()
        instances = {instance.id: instance for instance in self.browse([row["id"] for row in uses]).exists()}
        for row in sorted(uses, key=lambda row: row["at"]):
            instance, at = instances.get(row["id"]), min(moment_of(row["at"]), now)
            # Under that number another instance's data may lie.
            if not instance or instance.identity != row["identity"]:
                continue
            if not instance.use_measured_at or at > instance.use_measured_at:
                instance._quiet()._apply_use(at, row)
        self.env["microsaas.use.sample"]._drop_old()

    def _apply_use(self, at, row):
        use = {name: None if value is False else value for name, value in row.items()}
        found = {"disk_mb": use["disk_mb"], "database_mb": use["database_mb"], "user_count": use["users"]}
        known = {name: value for name, value in found.items() if value is not None}
        write_changed(self, {**known, "use_measured_at": at})
        self.env["microsaas.use.sample"]._add(self, at, use)

    # -- what people read --------------------------------------------------------------------------

    @api.depends("disk_mb", "database_mb", "user_count", "use_measured_at")
    @api.depends_context("lang", "tz")
    def _compute_use_html(self):
        for instance in self:
            shown = instance._use_shown()
            instance.use_html = shown and self.env["ir.qweb"]._render("micro_saas.instance_use", {"use": shown})

    def _use_shown(self):
        """Return what people read of an instance's use, in the language and the time zone of the context.

        Call it with sudo.

        :return: False where nothing was measured yet; else a dict of `measured_at` (a moment in UTC) and `parts`, a list of
            dicts of `title`, `text`, `note` (a second sentence, maybe ""), `share` (0 to 100 of what the plan gives; False
            where it sets no limit), `stage` (near, over, "") and `charts` (see `_chart`)
        """
        self.ensure_one()
        if not self.use_measured_at:
            return False
        samples = self.env["microsaas.use.sample"]
        lately = {period: samples._lately(self, period) for period in ("hour", "day")}
        plan, _ = self.plan_id, self.env._
        now = next((sample for _at, sample in reversed(lately["hour"]) if sample), {})
        requests = [sample["requests"] for _at, sample in lately["hour"] if sample and sample["requests"] is not None]
        parts = [
            {
                "title": _("Disk"),
                **self._of_limit(self.disk_mb, plan.microsaas_disk_mb, self._format_mb),
                "note": _("The database is %s of it.", self._format_mb(self.database_mb)),
                "charts": self._charts(lately, "disk_mb", self._format_mb, ["day"]),
            },
            {
                "title": _("Users"),
                **self._of_limit(self.user_count, plan.microsaas_users, self._format_number),
                "note": "",
                "charts": [],
            },
            {
                "title": _("Memory"),
                **self._of_limit(now.get("memory_mb"), plan.microsaas_memory_mb, self._format_mb),
                "note": _("The highest of its last hour."),
                "charts": self._charts(lately, "memory_mb", self._format_mb),
            },
            {
                "title": _("Processors"),
                **self._of_limit(now.get("cpus"), plan.microsaas_cpus, self._format_number),
                "note": _("The busiest quarter of its last hour."),
                "charts": self._charts(lately, "cpus", self._format_number),
            },
            {
                "title": _("Requests"),
                **self._of_limit(sum(requests) if requests else None, 0, self._format_number),
                "note": _("In the last 24 hours."),
                "charts": self._charts(lately, "requests", self._format_number),
            },
        ]
        return {"measured_at": self.use_measured_at, "parts": [part for part in parts if part["text"]]}

    def _of_limit(self, used, limit, in_words):
        """Return the text, the share and how far that is of one thing; an empty text where nobody knows.

        :param limit: what the plan gives; 0: it sets no limit
        """
        if used is None:
            return {"text": "", "share": False, "stage": ""}
        if not limit:
            return {"text": in_words(used), "share": False, "stage": ""}
        text = self.env._("%(used)s of %(limit)s", used=in_words(used), limit=in_words(limit))
        stage = "over" if used > limit else "near" if used >= NEAR * limit else ""
        return {"text": text, "share": min(100, round(100 * used / limit)), "stage": stage}

    def _charts(self, lately, name, in_words, periods=("hour", "day")):
        captions = {"hour": self.env._("24 hours"), "day": self.env._("30 days")}
        charts = [self._chart(captions[period], period, lately[period], name, in_words) for period in periods]
        return [chart for chart in charts if chart]

    def _chart(self, caption, period, samples, name, in_words):
        """Return a small chart of bars, as `instance_use` draws it: a missing bar was not measured.

        :return: False where there is nothing to draw; else a dict of `caption`, `label` (what who cannot see it reads),
            `width`, `height` and `bars`: dicts of `x`, `y`, `width`, `height` and `text`
        """
        known = [(moment, sample[name]) for moment, sample in samples if sample and sample[name] is not None]
        if not known:
            return False
        highest = max(value for _moment, value in known)
        bars = []
        for number, (moment, sample) in enumerate(samples):
            value = sample and sample[name]
            if value is None:
                continue
            height = max(1, round(CHART_HEIGHT * value / highest, 1)) if highest else 1
            bars.append(
                {
                    "x": number * (BAR + GAP),
                    "y": CHART_HEIGHT - height,
                    "width": BAR,
                    "height": height,
                    "text": f"{self._format_moment(moment, period)}: {in_words(value)}",
                }
            )
        label = self.env._(
            "%(caption)s: %(lowest)s to %(highest)s",
            caption=caption,
            lowest=in_words(min(value for _moment, value in known)),
            highest=in_words(highest),
        )
        return {"caption": caption, "label": label, "width": len(samples) * (BAR + GAP) - GAP, "height": CHART_HEIGHT, "bars": bars}

    # -- numbers and moments in words --------------------------------------------------------------

    def _locale(self):
        return babel_locale_parse(get_lang(self.env).code)

    def _format_number(self, value):
        """Return a number as its readers write it: whole, or with one or two decimals where it is small."""
        pattern = "#,##0" if value == int(value) else "#,##0.0" if value >= 1 else "0.00"
        return format_decimal(value, format=pattern, locale=self._locale())

    def _format_mb(self, value):
        """Return megabytes in words, from 1024 on as gigabytes."""
        if value < 1024:
            return f"{self._format_number(round(value))} MB"
        return f"{format_decimal(value / 1024, format='#,##0.#', locale=self._locale())} GB"

    def _format_moment(self, moment, period):
        if period == "day":
            return format_date(moment, format="medium", locale=self._locale())
        zone = self.env.context.get("tz") or self.company_id._microsaas_tz()
        there = fields.Datetime.context_timestamp(self.with_context(tz=zone), moment)
        return format_time(there, format="short", locale=self._locale())

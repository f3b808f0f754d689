"""Whether every instance has a backup that is proven: who is told when one has not, and the report of each night."""

from datetime import timedelta

from babel.dates import format_timedelta
from markupsafe import Markup, escape

from odoo import api, fields, models
from odoo.tools import SQL, format_datetime
from odoo.tools.misc import babel_locale_parse, get_lang

from .alerts import close_activities, person_for, raise_activity

ACTIVITY = "micro_saas.mail_activity_type_backup"
# A night, and two hours for one that takes longer than the one before.
PROVEN_WITHIN = timedelta(hours=26)
# The night is over, and the operator begins to read.
REPORT_HOUR = 7
# A mail that names more is not read; a filter of the list of instances shows all of them.
MOST_NAMED = 50
# No instance has this number: the manager itself, which counts as one more.
MANAGER = 0


class MicrosaasBackupWatch(models.AbstractModel):
    """Looks at the rows of backups, which the sidecar keeps as the repositories are; it asks the sidecar nothing."""

    _name = "microsaas.backup.watch"
    _description = "Watch over backups"

    @api.model
    def _cron_watch(self):
        """Tell people of instances without a proven backup; and once a day, in the morning, how many have one."""
        first = self._first_known()
        if not first:
            return  # no backups are made in this install
        newest = self._newest()
        late = {number: dates for number, dates in newest.items() if self._is_late(*dates)}
        # Before, the first night may not have come to all of them yet.
        if first <= fields.Datetime.now() - PROVEN_WITHIN:
            self._alarm(late)
            self.env["microsaas.sidecar"]._one()._alarm_manager_backup(MANAGER in late, PROVEN_WITHIN)
        self._report_night(first, late, len(newest), MANAGER in newest)

    # -- what is known -----------------------------------------------------------------------------

    @api.model
    def _first_known(self):
        """Return since when backups are made in this install, also failed ones; None: they are not."""
        self.env["microsaas.backup"].flush_model()
        [[first]] = self.env.execute_query(SQL("SELECT min(create_date) FROM microsaas_backup"))
        own = self.env["microsaas.sidecar"]._one().manager_backup_since
        return min(filter(None, (first, own)), default=None)

    @api.model
    def _newest(self):
        """Return the newest backup and the newest proof of each instance that should have them, None for none.

        Those are the ones with data that have had a night: running, stopped or suspended, and older than PROVEN_WITHIN. MANAGER is
        the manager itself, where the sidecar backs it up.

        :return: `{instance id: (moment, moment)}`
        """
        self.env.flush_all()
        rows = self.env.execute_query(SQL("SELECT id, last_backup, last_proof FROM (%s) AS newest ORDER BY id", self._newest_sql()))
        newest = {number: dates for number, *dates in rows}
        sidecar = self.env["microsaas.sidecar"]._one()
        if sidecar.manager_backup_since and sidecar.manager_backup_since <= fields.Datetime.now() - PROVEN_WITHIN:
            newest[MANAGER] = [sidecar.manager_backup_at, sidecar.manager_proof_at]
        return newest

    @api.model
    def _newest_sql(self):
        """Return a query of (id, company_id, last_backup, last_proof): what `_newest` says of instances."""
        return SQL(
            """SELECT instance.id, instance.company_id,
                      max(backup.date) FILTER (WHERE backup.state = 'done') AS last_backup,
                      max(backup.date) FILTER (WHERE backup.proof IN ('data', 'boot')) AS last_proof
                 FROM odoo_docker_instance AS instance
                 LEFT JOIN microsaas_backup AS backup ON backup.instancia_id = instance.id
                WHERE instance.active AND instance.was_ready AND instance.staging_of_id IS NULL
                  AND instance.desired_state IN ('running', 'stopped') AND instance.state != 'removed'
                  AND greatest(
                          instance.create_date,
                          to_timestamp(coalesce(instance.requested_at, 0)) AT TIME ZONE 'UTC'
                      ) <= %s
                  AND NOT EXISTS (SELECT FROM microsaas_subscription
                                   WHERE instancia_id = instance.id AND data_removed_at IS NOT NULL)
                GROUP BY instance.id""",
            fields.Datetime.now() - PROVEN_WITHIN,
        )

    @api.model
    def _started(self):
        """Return with how many instances' backups Odoo was started within PROVEN_WITHIN."""
        since = fields.Datetime.now() - PROVEN_WITHIN
        mine = [("instancia_id.active", "=", True), ("proof", "=", "boot"), ("date", ">=", since)]
        return len(self.env["microsaas.backup"].sudo()._read_group(mine, ["instancia_id"]))

    @api.model
    def _is_late(self, last_backup, last_proof):
        limit = fields.Datetime.now() - PROVEN_WITHIN
        return not last_backup or last_backup < limit or not last_proof or last_proof < limit

    @api.model
    def _why(self, instance, last_backup):
        """Return why an instance has no proven backup, as a sentence in the language of the context."""
        newest = self.env["microsaas.backup"].sudo().search([("instancia_id", "=", instance.id)], limit=1)
        if newest.message:
            return newest.message
        if not last_backup:
            return self.env._("There is no backup of it.")
        when = format_datetime(
            self.env, last_backup, tz=instance.company_id._microsaas_tz(), dt_format="short"
        )
        if last_backup < fields.Datetime.now() - PROVEN_WITHIN:
            return self.env._("Its last backup is of %s.", when)
        return self.env._("Its backup of %s was not restored for proof.", when)

    # -- the alarm: one activity on each instance that is late ---------------------------------------

    @api.model
    def _alarm(self, late):
        """Give a person one activity for each instance that is late, also when they close it; end those that are over."""
        instances = self.env["odoo.docker.instance"]._quiet().with_context(active_test=False)
        over = instances.search([("backup_alerted_at", "!=", False), ("id", "not in", list(late))])
        over.backup_alerted_at = False
        close_activities(over, ACTIVITY, self.env._("It is over: a proven backup is there, or none is needed any more."))
        for instance in instances.search([("backup_alerted_at", "=", False), ("id", "in", list(late))]):
            office = self.with_context(lang=instance.company_id.partner_id.lang)
            last_backup, _last_proof = late[instance.id]
            told = raise_activity(
                instance,
                ACTIVITY,
                person_for(self.env, instance.factura_id.invoice_user_id, is_technical=True),
                office.env._("No proven backup"),
                # It may name a file or a table, which its customer chooses; the note is HTML.
                escape(office._why(instance, last_backup)),
            )
            if told:
                instance.backup_alerted_at = fields.Datetime.now()

    # -- the report of the night ---------------------------------------------------------------------

    @api.model
    def _report_night(self, first, late, total, has_manager):
        """Tell the operator once a day, from the morning on, how many instances are proven, and why the others are not."""
        sidecar = self.env["microsaas.sidecar"]._one()
        company = self.env.company
        now = fields.Datetime.context_timestamp(self.with_context(tz=company._microsaas_tz()), fields.Datetime.now())
        morning = now.replace(hour=REPORT_HOUR, minute=0, second=0, microsecond=0)
        is_told = sidecar.backups_reported_on == now.date()
        begun = fields.Datetime.context_timestamp(self.with_context(tz=company._microsaas_tz()), first)
        if is_told or now < morning or begun > morning:
            return
        sidecar.backups_reported_on = now.date()
        if total:
            self._tell(sidecar, late, total, has_manager)

    @api.model
    def _tell(self, sidecar, late, total, has_manager):
        person = person_for(self.env, is_technical=True)
        reader = self.with_context(lang=person.lang, tz=person.tz)
        subject, body = reader._night_report(late, total, has_manager)
        sidecar.with_context(lang=person.lang).message_notify(
            partner_ids=person.partner_id.ids, subject=subject, body=body
        )

    @api.model
    def _night_report(self, late, total, has_manager=False):
        """Return the subject (a text) and the body (HTML) of the night's report, in the language of the context."""
        _ = self.env._
        proven = total - len(late)
        subject = _("Backups: %(proven)s of %(total)s proven", proven=proven, total=total)
        says = _(
            "%(proven)s of %(total)s instances have a backup that was restored for proof within the last"
            " %(hours)s hours.",
            proven=proven,
            total=total,
            hours=int(PROVEN_WITHIN.total_seconds() // 3600),
        )
        body = Markup("<p>%s</p>") % says
        if has_manager:
            body += Markup("<p>%s</p>") % _("This Odoo itself, the manager, counts as one of them.")
        body += Markup("<p>%s</p>") % _("With %s of them Odoo was started too.", self._started())
        if late:
            named = list(late.items())[:MOST_NAMED]
            lines = Markup().join(Markup("<li>%s</li>") % self._line(number, *dates) for number, dates in named)
            body += Markup("<p>%s</p><ul>%s</ul>") % (_("These have none:"), lines)
        if len(late) > MOST_NAMED:
            body += Markup("<p>%s</p>") % _("And %s more.", len(late) - MOST_NAMED)
        return subject, body

    @api.model
    def _line(self, instance_id, last_backup, last_proof):
        """Return what the report says of one instance: its name, the age of its last proof, and why."""
        if instance_id == MANAGER:
            name = self.env._("This Odoo itself")
            why = self.env["microsaas.sidecar"]._one()._manager_backup_why(PROVEN_WITHIN)
        else:
            instance = self.env["odoo.docker.instance"].sudo().browse(instance_id)
            name, why = instance.name, self._why(instance, last_backup)
        if not last_proof:
            return self.env._("%(instance)s: never proven. %(why)s", instance=name, why=why)
        return self.env._(
            "%(instance)s: last proven %(age)s ago. %(why)s",
            instance=name,
            age=self._age(last_proof),
            why=why,
        )

    @api.model
    def _age(self, moment):
        """Return how long ago a moment was, such as “27 hours”, in the language of the context."""
        locale = babel_locale_parse(get_lang(self.env).code)
        return format_timedelta(fields.Datetime.now() - moment, threshold=3, locale=locale)

"""What happened to an instance lately, in its customer's words: the log is the operator's, and causes of errors are theirs."""

from collections import Counter
from datetime import UTC, datetime

from odoo import fields, models

# Of support's lines, and of all others: neither pushes the other out, so that support cannot hide what it has done.
KEPT = 20


class OdooDockerInstance(models.Model):
    _inherit = "odoo.docker.instance"

    portal_history = fields.Json(
        "Told to the customer",
        readonly=True,
        copy=False,
        groups="base.group_user",
        help="Newest first: `at` (seconds since 1970), `what` (a word), `who` (a name, maybe empty).",
    )

    def _write_report(self, report):
        before = self._customers_word()
        super()._write_report(report)
        now = self._customers_word()
        if now and now != before:
            self._note_for_customer("ready" if now == "running" and not before else now)
        elif now == "running" and self.desired_state == "running" and self._was_mended(report):
            self._note_for_customer("mended")

    def _was_mended(self, report):
        return any(isinstance(line, dict) and line.get("because") for line in report.get("log") or [])

    def _customers_word(self):
        """Return what its state is to the customer; "" for one that has never run, and for one that was not started."""
        if self.state == "stopped" and self._suspended_subscription():
            return "suspended"
        return self.state if self.state != "draft" else ""

    def _note_for_customer(self, what, who=""):
        """Add a line to what the customer reads.

        :param what: a word of `_history_sentence`
        :param who: the name of the person who did it; empty where nobody did
        """
        line = {"at": int(fields.Datetime.now().timestamp()), "what": what, "who": who}
        kept, count = [], Counter()
        for one in [line, *(self.portal_history or [])]:
            is_support = one["what"].startswith("support")
            count[is_support] += 1
            if count[is_support] <= KEPT:
                kept.append(one)
        self._quiet().portal_history = kept

    def _portal_history(self):
        """Return what happened lately in the reader's words: a list of `(moment, sentence)`, the newest first. Call it with sudo."""
        return [
            (self._portal_time(datetime.fromtimestamp(line["at"], UTC).replace(tzinfo=None)), sentence)
            for line in self.portal_history or []
            if (sentence := self._history_sentence(line["what"], line["who"]))
        ]

    def _history_sentence(self, what, who):
        _ = self.env._
        sentences = {
            "ready": lambda: _("It was ready for the first time."),
            "running": lambda: _("It was started."),
            "stopped": lambda: _("It was stopped."),
            "suspended": lambda: _("It was suspended for want of payment."),
            "error": lambda: _("Something went wrong with it."),
            "removed": lambda: _("It was removed."),
            "mended": lambda: _("It had stopped working, and was started again by itself."),
            "restarted": lambda: _("%s restarted it.", who),
            "renamed": lambda: _("%s changed its address.", who),
            "opened": lambda: _("%s opened it from here.", who),
            "password": lambda: _("%s asked for a new password of its administrator.", who),
            "restored": lambda: _("%s asked for an earlier state of its data.", who),
            "undone": lambda: _("%s undid the restore of its data.", who),
            "exported": lambda: _("%s asked for all its data.", who),
            "support_let_in": lambda: _("%s let our support log in to it.", who),
            "support_kept_out": lambda: _("%s lets our support log in to it no more.", who),
            "support": lambda: _("%s of our support logged in to it as its administrator.", who),
            "let_act": lambda: _("%s changed who may act for it.", who),
        }
        return sentences[what]() if what in sentences else ""

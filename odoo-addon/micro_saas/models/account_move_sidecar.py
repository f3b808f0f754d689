"""What the sidecar calls on invoices. Each method is one transaction and answers without None."""

from odoo import api, fields, models
from odoo.tools import SQL

from .account_move_line import OPEN_UNITS
from .alerts import close_activities, person_for, raise_activity
from .sidecar import check_sidecar, finite, in_payment_is_paid

HOLD_ACTIVITY = "micro_saas.mail_activity_type_hold"


class AccountMove(models.Model):
    _inherit = "account.move"

    @api.model
    def microsaas_unclaimed(self, limit):
        """Return at most `limit` ids of paid invoices with automatic plan units nobody has claimed; oldest first."""
        check_sidecar(self.env)
        rows = self.env.execute_query(
            SQL(
                """SELECT move_id FROM (%s) AS unclaimed
                 GROUP BY move_id
                 ORDER BY (SELECT max(partial.create_date)
                             FROM account_move_line line
                             JOIN account_partial_reconcile partial ON partial.debit_move_id = line.id
                            WHERE line.move_id = unclaimed.move_id) NULLS FIRST, move_id
                    LIMIT %s""",
                self._microsaas_unclaimed_sql(),
                limit,
            )
        )
        return [move_id for (move_id,) in rows]

    @api.model
    def microsaas_invoice(self, invoice_id):
        """Return all that decides about an invoice, `{}` if it does not exist.

        Lines that renew a subscription are left out: they never create an instance.
        """
        check_sidecar(self.env)
        move = self.sudo().browse(invoice_id).exists()
        if not move:
            return {}
        return finite(move._microsaas_desired())

    def _microsaas_desired(self):
        return {
            "id": self.id,
            "name": self.name or "",
            "move_type": self.move_type,
            "state": self.state,
            "payment_state": self._microsaas_payment_state(),
            "in_payment_is_paid": in_payment_is_paid(self.env),
            "invoice_date": fields.Date.to_string(self.invoice_date) or "",
            "paid_day": fields.Date.to_string(self._microsaas_paid_day()),
            "partner_id": self.partner_id.id or 0,
            "approved": self.microsaas_approved,
            "hold": self.microsaas_hold or "",
            "reversed_ratio": self._microsaas_reversed_ratio(),
            "unlinked_credit": self._microsaas_unlinked_credits()[:1].name or "",
            "lines": self._microsaas_line_dicts(),
            "instance_ids": self._microsaas_paid_instance_ids(),
        }

    def _microsaas_line_dicts(self):
        lines = self.invoice_line_ids.filtered(lambda line: not line.suscripcion_id)
        claimed = lines._microsaas_claimed()
        backlog = self._microsaas_backlog(lines.product_id.product_tmpl_id)
        return [
            {
                "id": line.id,
                "display_type": line.display_type or "product",
                "quantity": line.quantity,
                "product_template_id": plan.id or 0,
                "price_subtotal": line.price_subtotal,
                "is_plan": plan.es_plan_microsaas,
                "provision": plan.microsaas_provision or "manual",
                "desde": fields.Date.to_string(plan.microsaas_desde) or "",
                "since_plan": line._microsaas_is_since_plan(),
                "may_renew": line._microsaas_may_renew().mapped("display_name"),
                "claimed": claimed.get(line.id, []),
                "backlog": backlog.get(plan.id, 0),
            }
            for line in lines
            for plan in [line.product_id.product_tmpl_id]
        ]

    @api.model
    def microsaas_hold_invoice(self, invoice_id, reason, message):
        """Keep an invoice for a person to decide, and tell people; an empty `reason` ends the hold.

        :param reason: one CamelCase word
        :param message: a sentence for a bookkeeper
        :return: True
        """
        check_sidecar(self.env)
        move = self.sudo().browse(invoice_id).exists()
        if move and (move.microsaas_hold or "") != reason:
            move._microsaas_set_hold(reason, message)
        return True

    def _microsaas_set_hold(self, reason, message):
        self.write({"microsaas_hold": reason, "microsaas_hold_message": message})
        close_activities(self, HOLD_ACTIVITY, self.env._("The hold is over."))
        for move in self.filtered("microsaas_hold"):
            person = person_for(self.env, move.invoice_user_id)
            raise_activity(move, HOLD_ACTIVITY, person, self.env._("Approve this invoice"), message)

    @api.model
    def _microsaas_is_held_for(self, customer):
        """Tell whether something that a customer (a commercial partner) has paid for waits for a person, who knows it."""
        held = self.search(
            [
                ("commercial_partner_id", "=", customer.id),
                ("microsaas_hold", "not in", (False, "")),
                ("payment_state", "in", self._microsaas_paid_states()),
            ]
        )
        return bool(held.activity_ids.filtered(lambda one: one.activity_type_id == self.env.ref(HOLD_ACTIVITY)))

    def _microsaas_backlog(self, plans):
        """Return `{plan id: units}` of the unclaimed automatic units of these plans on all invoices.

        Those held for being too many at once count: else holding the first would let the others through.
        """
        rows = self.env.execute_query(
            SQL(
                "SELECT plan_id, sum(units)::int FROM (%s) AS unclaimed WHERE plan_id = ANY(%s) GROUP BY plan_id",
                self._microsaas_unclaimed_sql(holds=("", "TooManyClaims")),
                plans.ids,
            )
        )
        return dict(rows)

    @api.model
    def _microsaas_is_coming_for(self, customer):
        """Tell whether a customer (a commercial partner) has paid for an instance that is about to be claimed."""
        query = SQL(
            """SELECT 1 FROM (%s) work JOIN account_move move ON move.id = work.move_id
                WHERE move.commercial_partner_id = %s LIMIT 1""",
            self._microsaas_unclaimed_sql(),
            customer.id,
        )
        return bool(self.env.execute_query(query))

    def _microsaas_unclaimed_sql(self, holds=("",)):
        """Return a query of (move_id, plan_id, units): what is sold, paid and has no instance yet.

        :param holds: the reasons of holds that an invoice may have to be listed

        An invoice credited in full is no work; were it listed, it would crowd out the others for ever.
        """
        self.env.flush_all()
        # The planner takes this for heavy work; compiling it costs 200 times what running it does.
        self.env.cr.execute("SET LOCAL jit = off")
        admin = self.env.ref("base.user_admin", raise_if_not_found=False)
        return SQL(
            """SELECT line.move_id, plan.id AS plan_id,
                      greatest(floor(line.quantity) - coalesce(line.microsaas_claimed, 0), 0) AS units
                 FROM product_template plan
                 JOIN product_product product ON product.product_tmpl_id = plan.id
                 JOIN (SELECT * FROM account_move_line
                        WHERE %(open_units)s AND display_type = 'product' AND suscripcion_id IS NULL) line
                   ON line.product_id = product.id
                 JOIN account_move move ON move.id = line.move_id
                 JOIN res_company company ON company.id = move.company_id
                 JOIN res_partner owner ON owner.id = company.partner_id
           CROSS JOIN LATERAL (SELECT coalesce(nullif(company.microsaas_tz, ''), nullif(owner.tz, ''), %(admin_tz)s) AS tz) zone
                WHERE plan.es_plan_microsaas
                  AND plan.microsaas_provision = 'automatic'
                  AND line.price_subtotal >= 0
                  AND (line.quantity >= 1 OR NOT coalesce(move.microsaas_approved, false))
                  AND line.quantity < 'Infinity'  -- which NaN is not either
                  AND move.move_type = 'out_invoice'
                  AND move.state = 'posted'
                  AND (move.payment_state IN %(paid)s
                       -- Settled by a credit, and not by its own: see _microsaas_payment_state.
                       OR (move.payment_state = 'reversed'
                           AND EXISTS (SELECT 1
                                         FROM account_move_line mine
                                         JOIN account_partial_reconcile partial ON partial.debit_move_id = mine.id
                                         JOIN account_move_line theirs ON theirs.id = partial.credit_move_id
                                         JOIN account_move credit ON credit.id = theirs.move_id
                                        WHERE mine.move_id = move.id
                                          AND credit.move_type = 'out_refund'
                                          AND credit.reversed_entry_id IS DISTINCT FROM move.id)))
                  AND (move.microsaas_approved
                       OR move.invoice_date >= plan.microsaas_desde
                       -- Made since by the company's clock, dated by another: see _microsaas_is_since_plan.
                       OR (move.create_date AT TIME ZONE 'UTC' AT TIME ZONE zone.tz)::date
                          BETWEEN plan.microsaas_desde AND move.invoice_date + 1
                       -- Older, but paid since: a person is asked. What was paid before is history.
                       OR (move.write_date >= plan.microsaas_desde - 1
                           AND EXISTS (SELECT 1
                                         FROM account_move_line paid
                                         JOIN account_partial_reconcile partial ON partial.debit_move_id = paid.id
                                        WHERE paid.move_id = move.id
                                          AND (partial.create_date AT TIME ZONE 'UTC' AT TIME ZONE zone.tz)::date
                                              >= plan.microsaas_desde)))
                  AND coalesce(move.microsaas_hold, '') IN %(holds)s
                  AND (move.amount_total = 0
                       OR abs(move.amount_total_signed)
                          > (SELECT coalesce(sum(CASE WHEN credit.currency_id = move.currency_id
                                                      THEN credit.amount_total
                                                           * abs(move.amount_total_signed) / move.amount_total
                                                      ELSE abs(credit.amount_total_signed) END), 0)
                               FROM account_move credit
                              WHERE credit.reversed_entry_id = move.id
                                AND credit.state = 'posted'))""",
            open_units=SQL(OPEN_UNITS),
            # As res.company._microsaas_tz.
            admin_tz=(admin and admin.sudo().tz) or "UTC",
            paid=self._microsaas_paid_states(),
            holds=holds,
        )

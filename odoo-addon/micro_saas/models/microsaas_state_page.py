"""What a visitor reads in the place of an Odoo that does not answer: what goes on with it, and what can be done.

Anybody may open it who knows the name, so it holds no cause of an error, no customer's name and no link with a token:
*Pay now* leads through the login, where the customer's rights are checked.
"""

from odoo import api, models
from odoo.tools import format_amount, format_date

from .door import door_domain
from .microsaas_portal_mixin import PERCENT
from .reason_sentences import instance_sentence

PAYMENT_REQUIRED, NOT_FOUND, GONE, UNAVAILABLE = 402, 404, 410, 503
# Seconds after which a browser may ask again, where things change by themselves.
AT_ONCE, SOON, LATER = 1, 3, 30


class MicrosaasStatePage(models.AbstractModel):
    """The page of an instance that does not answer. Call it with sudo."""

    _name = "microsaas.state.page"
    _description = "Page in the place of an instance"

    @api.model
    def _page(self, host, instance_id, language):
        """Return what the page of a host says; see `microsaas_page`."""
        instance = self.env["odoo.docker.instance"].browse(instance_id or []).exists() or self._instance_at(host)
        company = instance.company_id or self.env["res.company"].search([], order="id", limit=1)
        lang = self._known_lang(instance.partner_id.lang or company.partner_id.lang)
        if not instance:
            lang = self._lang_in(language, lang)
        page = self.with_context(lang=lang)
        said = page._said(instance.with_context(lang=lang)) if instance else page._said_of_nobody()
        base_url = company.get_base_url()
        return {
            "retry_after": 0,
            "action": False,
            "second_action": False,
            **said,
            "lang": lang,
            "company": company.name,
            "logo_url": f"{base_url}/logo.png?company={company.id}" if company.logo and not company.uses_default_logo else "",
        }

    @api.model
    def _known_lang(self, code):
        """Return a language that is installed: the given one, else English."""
        return code if code in dict(self.env["res.lang"].get_installed()) else "en_US"

    @api.model
    def _lang_in(self, language, otherwise):
        """Return the code of an installed language: `otherwise`, unless only another one is in `language` (as `es`)."""
        spoken = [code for code in (otherwise, *dict(self.env["res.lang"].get_installed())) if code.split("_")[0] == language]
        return next(iter(spoken), otherwise)

    @api.model
    def _instance_at(self, host):
        """Return the instance that has, or lately had, a host name; empty for any other text."""
        name, ours = str(host or "").lower().partition(":")[0].removesuffix("."), door_domain(self.env)
        label = name.removesuffix(f".{ours}")
        if ours and label != name:
            return self.env["microsaas.subdomain"]._instance_named(label)
        return self.env["microsaas.domain"].search([("name", "=", name), ("state", "=", "verified")]).instance_id

    # -- what is said ------------------------------------------------------------------------------

    def _said_of_nobody(self):
        _ = self.env._
        return {
            "status": NOT_FOUND,
            "title": _("There is no Odoo at this address"),
            "lines": [_("Check how the address is written. Your own page on our site says where your Odoo is.")],
        }

    def _said(self, instance):
        """Return `status`, `title` and `lines`, maybe `retry_after`, `action` and `second_action`, for what the portal says of it."""
        status = instance._portal_status()
        write = {
            "preparing": self._said_of_preparing,
            "running": self._said_of_running,
            "suspended": self._said_of_suspended,
        }.get(status["code"])
        if write:
            return write(instance, status)
        codes = {"removed": GONE}
        retries = {"error": LATER, "stopped": status["poll"] and SOON, "waiting": LATER}
        return {
            "status": codes.get(status["code"], UNAVAILABLE),
            "retry_after": retries.get(status["code"], 0),
            "title": status["title"],
            "lines": [status["text"]],
        }

    def _said_of_preparing(self, instance, status):
        # Whatever the portal shows besides, strangers get the general sentence.
        is_known = instance.reason in PERCENT and status["text"] == instance.phase_message
        text = instance_sentence(self.env, instance.reason, "") if is_known else status["text"]
        progress = self.env._("%s %% done. This page goes on to your Odoo by itself.", status["percent"])
        lines = [text, progress]
        return {"status": UNAVAILABLE, "retry_after": SOON, "title": status["title"], "lines": lines}

    def _said_of_running(self, instance, _status):
        """It should answer and does not: it wakes or starts again, or the sidecar has not seen yet what is wrong."""
        _ = self.env._
        if instance.is_asleep:
            lines = [_("Nobody has used it for a while. It starts now; this page goes on to it by itself.")]
            return {"status": UNAVAILABLE, "retry_after": AT_ONCE, "title": _("Your Odoo is waking up"), "lines": lines}
        lines = [_("It is tried again by itself. This page goes on to your Odoo as soon as it answers.")]
        return {"status": UNAVAILABLE, "retry_after": SOON, "title": _("Your Odoo does not answer at the moment"), "lines": lines}

    def _said_of_suspended(self, instance, status):
        _, subscription = self.env._, instance._suspended_subscription()
        move, amount = subscription._invoice_to_pay(), subscription._amount_to_pay()
        lines = [status["text"]]
        if move:
            lines.append(
                _(
                    "Invoice %(invoice)s of %(amount)s, due on %(day)s, is not paid.",
                    invoice=move.name,
                    amount=format_amount(self.env, move.amount_residual, move.currency_id),
                    day=format_date(self.env, move.invoice_date_due or move.invoice_date),
                )
            )
        elif amount:
            lines.append(_("The renewal costs %s.", amount))
        lines.append(_("Your data are kept until %s.", format_date(self.env, subscription._data_kept_until())))
        url = f"{instance.get_base_url()}/my/instances/{instance.id}/pay"
        return {
            "status": PAYMENT_REQUIRED,
            "title": status["title"],
            "lines": lines,
            "action": {"label": _("Pay now"), "url": url} if amount else False,
            # The rights are checked there, after the login.
            "second_action": bool(instance._offered_backups())
            and {"label": _("Download my data"), "url": instance._data_page_url()},
        }

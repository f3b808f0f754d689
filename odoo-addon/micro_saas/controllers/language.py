from odoo.http import request


def in_language_of(partner):
    """Let the page be in the language of whom its link was mailed to: with the link of a mail nobody is logged in."""
    if partner.lang and request.env.user._is_public():
        request.update_context(lang=partner.lang)

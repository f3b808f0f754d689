from pathlib import Path

import polib

from odoo.modules import get_module_path
from odoo.tools.translate import TranslationModuleReader


def untranslated(env, addon):
    """Return the terms of an addon, as Odoo itself exports them, that a reader of Spanish sees in English.

    A word that is the same in both languages counts as translated when `es.po` says so.

    :param str addon: technical name; its Spanish must have been loaded
    :return: sorted list of `<where>: <term>`
    """
    entries = polib.pofile(str(Path(get_module_path(addon), "i18n", "es.po")))
    same = {entry.msgid for entry in entries if entry.msgid == entry.msgstr}
    return sorted(
        f"{place}: {source}"
        for _addon, _kind, place, _line, source, value, _comments in TranslationModuleReader(
            env.cr, [addon], "es_ES"
        )
        if not value and source not in same
    )

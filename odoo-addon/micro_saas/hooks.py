"""What XML data cannot say for two Odoo series at once, and what uninstalling must take away."""

from odoo import Command

from .models.res_config_settings import BOT_LOGIN


def post_init_hook(env):
    """Show the two groups as one choice in the user form, and make administrators managers."""
    manager = env.ref("micro_saas.group_microsaas_manager")
    groups = env.ref("micro_saas.group_microsaas_user") | manager
    users = env.ref("base.user_root") | env.ref("base.user_admin")
    if "res.groups.privilege" in env:  # 19
        privilege = env["res.groups.privilege"].create({"name": "MicroSaaS"})
        env["ir.model.data"]._update_xmlids(
            [{"xml_id": "micro_saas.privilege_microsaas", "record": privilege, "noupdate": True}]
        )
        groups.privilege_id = privilege
        manager.user_ids = [Command.link(user.id) for user in users]
    else:  # 18
        groups.category_id = env.ref("base.module_category_accounting_accounting")
        manager.users = [Command.link(user.id) for user in users]


def uninstall_hook(env):
    """Forget the settings and shut the sidecar's user out."""
    env["ir.config_parameter"].search([("key", "=like", "microsaas.%")]).unlink()
    env["res.users"].search([("login", "=", BOT_LOGIN)]).active = False

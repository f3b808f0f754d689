from . import (
    # What instances and subscriptions inherit from, then what they are.
    microsaas_portal_mixin,
    docker_compose_template,
    odoo_docker_repository,
    odoo_docker_instance,
    microsaas_reserved_port,
    microsaas_subscription,
    microsaas_subdomain,
    microsaas_domain,
    microsaas_state_page,
    microsaas_renewal,
    microsaas_notice,
    microsaas_brake,
    # What Odoo's own models get.
    res_company,
    res_config_settings,
    res_partner,
    product_template,
    product_product,
    account_move,
    account_move_line,
    account_payment,
    mail_mail,
    # The sidecar.
    microsaas_manager_history,
    microsaas_sidecar,
    microsaas_sidecar_api,
)

from . import (
    microsaas_instance_name,
    microsaas_subdomain,
    microsaas_subscription,
    account_move_line,
    product_template,
    sale_order,
    sale_order_line,
    res_config_settings,
)

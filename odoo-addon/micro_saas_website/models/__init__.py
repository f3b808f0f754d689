from . import (
    microsaas_instance_name,
    product_template,
    sale_order,
    sale_order_line,
    sale_order_step,
    res_config_settings,
    by_hand,
)

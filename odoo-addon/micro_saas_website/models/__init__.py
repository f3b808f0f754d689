from . import (
    microsaas_instance_name,
    product_template,
    sale_order,
    sale_order_line,
    res_config_settings,
)

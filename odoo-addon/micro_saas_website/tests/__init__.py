from . import test_i18n, test_instance_name, test_rate_limit, test_sale_order, test_settings

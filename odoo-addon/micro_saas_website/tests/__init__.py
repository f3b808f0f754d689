from . import test_instance_name, test_sale_order, test_settings

from . import (
    test_by_hand,
    test_i18n,
    test_instance_name,
    test_plans,
    test_rate_limit,
    test_room,
    test_sale_order,
    test_settings,
)

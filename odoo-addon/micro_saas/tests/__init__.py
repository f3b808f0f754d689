from . import (
    test_access,
    test_account_move,
    test_i18n,
    test_instance,
    test_money,
    test_nudge,
    test_portal,
    test_product,
    test_settings,
    test_sidecar_methods,
    test_subscription,
    test_subscription_sidecar,
)

from . import portal, portal_card, portal_data, portal_plan, renew

from . import portal, portal_data, portal_plan, renew

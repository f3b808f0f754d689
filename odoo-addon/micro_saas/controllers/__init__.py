from . import portal, portal_data, renew

from . import portal, renew

from . import microsaas_connect

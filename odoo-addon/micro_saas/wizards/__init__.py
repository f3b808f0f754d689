from . import microsaas_connect, microsaas_without_archive

from . import microsaas_connect, microsaas_restore_confirm, microsaas_without_archive

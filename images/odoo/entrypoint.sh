#!/bin/bash
# Same words as the official image: HOST, PORT, USER, PASSWORD or PASSWORD_FILE name the database server
# unless the configuration file does; any other command is run as it is.
set -euo pipefail

if [[ -n "${PASSWORD_FILE:-}" ]]; then
  PASSWORD=$(<"$PASSWORD_FILE")
fi

configured() {
  grep -qE "^[[:space:]]*$1[[:space:]]*=[[:space:]]*[^[:space:]]" "${ODOO_RC:-/etc/odoo/odoo.conf}"
}

# By environment, not by argument: what stands on a command line is readable in the process list.
configured db_host || export PGHOST="${HOST:-db}"
configured db_port || export PGPORT="${PORT:-5432}"
configured db_user || export PGUSER="${USER:-odoo}"
configured db_password || export PGPASSWORD="${PASSWORD:-odoo}"

case "${1:-odoo}" in
  odoo | --)
    shift || true
    exec odoo "$@"
    ;;
  -*)
    exec odoo "$@"
    ;;
  *)
    exec "$@"
    ;;
esac

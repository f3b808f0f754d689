#!/bin/bash
# Same words as the official image: on an empty PGDATA it runs initdb with POSTGRES_USER,
# POSTGRES_PASSWORD (or _FILE), POSTGRES_DB and POSTGRES_INITDB_ARGS, then the scripts of
# /docker-entrypoint-initdb.d; then it becomes the server.
set -euo pipefail

from_file() {
  local name=$1 file="${1}_FILE"
  if [[ -n "${!file:-}" ]]; then
    export "$name"="$(<"${!file}")"
    unset "$file"
  fi
}

if [[ "${1:-}" == -* ]]; then
  set -- postgres "$@"
fi
if [[ "${1:-}" != postgres ]]; then
  exec "$@"
fi

if [[ "$(id -u)" == 0 ]]; then
  mkdir -p "$PGDATA" /var/run/postgresql
  chmod 0700 "$PGDATA"
  chmod 3775 /var/run/postgresql || true
  find "$PGDATA" \! -user postgres -exec chown postgres:postgres '{}' +
  chown postgres:postgres /var/run/postgresql || true
  # The password files may be readable by root alone: read them before letting go of root.
  for name in POSTGRES_PASSWORD POSTGRES_USER POSTGRES_DB POSTGRES_INITDB_ARGS; do from_file "$name"; done
  exec setpriv --reuid=postgres --regid=postgres --init-groups -- "$0" "$@"
fi
for name in POSTGRES_PASSWORD POSTGRES_USER POSTGRES_DB POSTGRES_INITDB_ARGS; do from_file "$name"; done

if [[ ! -s "$PGDATA/PG_VERSION" ]]; then
  user="${POSTGRES_USER:-postgres}"
  database="${POSTGRES_DB:-$user}"
  method="${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}"
  if [[ -z "${POSTGRES_PASSWORD:-}" && "$method" != trust ]]; then
    echo 'Set POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE: a superuser without a password is refused.' >&2
    exit 1
  fi
  eval "initdb --username=\"\$user\" --pwfile=<(printf '%s\n' \"\${POSTGRES_PASSWORD:-unused}\") ${POSTGRES_INITDB_ARGS:-}"
  printf '\nhost all all all %s\n' "$method" >> "$PGDATA/pg_hba.conf"

  # Its socket is in a folder of its own: nobody may meet a server that is still being set up.
  sockets=$(mktemp -d)
  export PGHOST="$sockets" PGUSER="$user" PGPASSWORD="${POSTGRES_PASSWORD:-}"
  pg_ctl --pgdata="$PGDATA" --wait --silent \
    --options="-c listen_addresses='' -c unix_socket_directories='$sockets'" start
  if [[ "$database" != postgres ]]; then
    psql --quiet --no-psqlrc -v ON_ERROR_STOP=1 -v name="$database" -d postgres <<< 'CREATE DATABASE :"name";'
  fi
  export PGDATABASE="$database"
  for script in /docker-entrypoint-initdb.d/*; do
    case "$script" in
      *.sh) bash "$script" ;;
      *.sql) psql --quiet --no-psqlrc -v ON_ERROR_STOP=1 -f "$script" ;;
      *.sql.gz) gunzip -c "$script" | psql --quiet --no-psqlrc -v ON_ERROR_STOP=1 ;;
    esac
  done
  pg_ctl --pgdata="$PGDATA" --mode=fast --wait --silent stop
  rm -rf "$sockets"
  unset PGHOST PGUSER PGPASSWORD PGDATABASE
fi

# The server itself has no use for the password; a child of it shouldn't find it either.
unset POSTGRES_PASSWORD
exec "$@"

#!/bin/sh
# $1 is the root of the image.
set -eu
root=$1
mkdir -p "$root/docker-entrypoint-initdb.d" "$root/var/lib/postgresql/data" "$root/var/run/postgresql"
chroot "$root" chown -R postgres:postgres /var/lib/postgresql /var/run/postgresql
chmod 0700 "$root/var/lib/postgresql/data"
chmod 3777 "$root/var/run/postgresql"
chmod 0755 "$root/usr/local/bin/docker-entrypoint.sh"
# As the official image: who publishes no port of it is reached by nobody.
echo "listen_addresses = '*'" >> "$root/usr/share/postgresql/17/postgresql.conf.sample"

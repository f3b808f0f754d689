#!/bin/sh
# Runs on the building machine; $1 is the root of the image, $2 the folder with the foreign packages.
set -eu
root=$1
# The program and its Caddyfile alone: the package's user, service and man pages are for a machine, not for a container.
dpkg-deb --fsys-tarfile "$2"/caddy_*.deb | tar --extract --directory "$root" ./usr/bin/caddy ./etc/caddy
mkdir -p "$root/config/caddy" "$root/data/caddy"

#!/bin/sh
# Runs before the packages are installed; $1 is the root of the image.
set -eu
root=$1
# The official image's numbers, so that data directories can move between the two images.
printf 'postgres:x:999:\n' >> "$root/etc/group"
printf 'postgres:x:999:999:PostgreSQL:/var/lib/postgresql:/bin/bash\n' >> "$root/etc/passwd"
# Without this the package makes a cluster of its own at install time.
mkdir -p "$root/etc/postgresql-common"
printf 'create_main_cluster = false\n' > "$root/etc/postgresql-common/createcluster.conf"

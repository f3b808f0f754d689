#!/bin/sh
# Runs on the building machine; $1 is the root of the image, $2 the folder with the foreign packages.
set -eu
root=$1
cp "$2"/odoo-19_*.deb "$root/tmp/odoo.deb"
# Forced: its dependencies carry sid's version numbers and names; the ones it really needs are in packages.txt.
chroot "$root" dpkg --force-depends --install /tmp/odoo.deb
rm "$root/tmp/odoo.deb"
# A byte-compiled tree makes each start about a second quicker, and a read-only container can't write it later.
chroot "$root" python3 -m compileall -q -j2 /usr/lib/python3/dist-packages/odoo
mkdir -p "$root/etc/odoo" "$root/mnt/extra-addons" "$root/var/lib/odoo"
printf '[options]\naddons_path = /mnt/extra-addons\ndata_dir = /var/lib/odoo\n' > "$root/etc/odoo/odoo.conf"
chroot "$root" chown -R odoo:odoo /etc/odoo /mnt/extra-addons /var/lib/odoo
chmod 0755 "$root/entrypoint.sh"

#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Runs in a container of a test host's image: gives that root filesystem a kernel and what a machine has
# and a container lacks, and writes to /out what QEMU boots: vmlinuz, initrd.img, root.raw.
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
apt-get -qq --yes --no-install-recommends install linux-image-cloud-amd64 initramfs-tools zstd > /dev/null
apt-get clean
# With all of the kernel's drivers an emulated boot takes seconds more.
printf 'MODULES=list\nCOMPRESS=zstd\n' > /etc/initramfs-tools/conf.d/guest
printf 'virtio_pci\nvirtio_scsi\nvirtio_net\nsd_mod\next4\n' >> /etc/initramfs-tools/modules
update-initramfs -u -k all > /dev/null

# systemd mounts what fstab names, as on each real host: the stand-in for that goes.
systemctl disable --quiet lab-mounts.service
rm /etc/systemd/system/lab-mounts.service
systemctl enable --quiet systemd-networkd.service
systemctl mask --quiet systemd-networkd-wait-online.service apt-daily.timer apt-daily-upgrade.timer \
    e2scrub_all.timer fstrim.timer dpkg-db-backup.timer
cp /in/guest.network /etc/systemd/network/
cp /key.pub /etc/ssh/lab.pub
echo 'LABEL=lab-root / ext4 defaults,noatime 0 1' > /etc/fstab
od -An -N16 -tx1 /dev/urandom | tr -d ' \n' > /etc/machine-id

# The root filesystem alone, without what the engine has mounted in it.
mount --bind / /mnt
rm -f /mnt/.dockerenv
echo agnes-vm > /mnt/etc/hostname
echo '127.0.0.1 localhost agnes-vm' > /mnt/etc/hosts
cp /boot/vmlinuz-* /out/vmlinuz
cp /boot/initrd.img-* /out/initrd.img
truncate -s 8G /out/root.raw
mke2fs -q -t ext4 -L lab-root -E lazy_itable_init=1,root_owner=0:0 -d /mnt /out/root.raw

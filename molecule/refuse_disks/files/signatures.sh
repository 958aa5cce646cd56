#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# What disks of other uses hold, made with the real tools. magic.py does those that can't be.
set -eu

echo 'label: gpt
,,' | sfdisk --quiet /dev/lab-gpt
echo 'label: dos
,,' | sfdisk --quiet /dev/lab-mbr
mkfs.ext4 -q -L old /dev/lab-ext4
mkfs.xfs -q -L old /dev/lab-xfs
mkfs.btrfs --quiet /dev/lab-btrfs
# No device-mapper is needed to label a physical volume.
pvcreate --quiet --config 'devices/use_devicesfile=0' /dev/lab-lvm
printf secret | cryptsetup luksFormat --batch-mode --type luks2 --pbkdf pbkdf2 \
  --pbkdf-force-iterations 1000 /dev/lab-luks -
mkswap --quiet /dev/lab-swap
genisoimage -quiet -o /srv/debian.iso /etc/debian_version
dd if=/srv/debian.iso of=/dev/lab-iso9660 conv=notrunc status=none
mkfs.vfat /dev/lab-vfat >/dev/null
make-bcache -B /dev/lab-bcache >/dev/null
dd if=/dev/urandom of=/dev/lab-random bs=1M count=64 status=none

# Its first MiB is gone, superblock and all; the backups are what e2fsck -b would save it from.
mkfs.ext4 -q /dev/lab-backups
dd if=/dev/zero of=/dev/lab-backups bs=1M count=1 status=none

# One byte in the last sector, where some formats keep what they know.
printf x | dd of=/dev/lab-tail bs=1 seek=$((64 * 1024 * 1024 - 1)) status=none

mkfs.ext4 -q -L 'My Data' -U 5ca1ab1e-0000-4000-8000-00000000000a /dev/lab-mounted
mkdir -p /srv/in-use
mount -o ro /dev/lab-mounted /srv/in-use

# A partition that is blank itself. Its node in /dev is udev's to make, which is not here.
echo 'label: gpt
,,' | sfdisk --quiet /dev/lab-parts
partx --update /dev/lab-parts # a kernel may have no code that reads partition tables itself
for part in /sys/dev/block/"$(stat -c '%Hr:%Lr' /dev/lab-parts)"/*/partition; do
  IFS=: read -r major minor <"${part%/partition}/dev"
  mknod /dev/lab-parts1 b "$major" "$minor"
done

mkdir -p /dev/disk/by-id
ln -s ../../gone /dev/disk/by-id/google-gone
ln -s ../../lab-parts1 /dev/disk/by-id/google-data-part1
sync

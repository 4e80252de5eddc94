#!/bin/sh
# enter.sh ROOT FOLDER COMMAND...   (after `unshare --mount --propagation private`)
# Runs COMMAND where ROOT is /, FOLDER is seen at its own path, registry.test is loopback and what an earlier run of
# a client left in /var/lib/containers is not seen. Network and processes are the machine's.
set -e
root=$1 folder=$2
shift 2

hosts=$(mktemp "$folder/hosts.XXXXXX")
{ cat /etc/hosts; echo "127.0.0.1 registry.test"; } >"$hosts"

if [ "$root" = / ]; then
    mount --bind "$hosts" /etc/hosts
    rm "$hosts"
    mkdir -p /var/lib/containers
    mount -t tmpfs none /var/lib/containers
    exec "$@"
fi

mount --bind "$root" "$root"
for name in proc sys dev; do
    mount --rbind "/$name" "$root/$name"
done
mount -t tmpfs none "$root/run"
mount -t tmpfs none "$root/tmp"
mkdir -p "$root/run/lock" "$root/var/lib/containers" "$root$folder"
mount -t tmpfs none "$root/var/lib/containers"
mount --bind "$folder" "$root$folder"
cat "$hosts" >"$root/etc/hosts"
rm "$hosts"
if [ -n "$CGROUP2" ]; then  # crun and podman 5 refuse a tree of cgroups of both versions
    mount -t tmpfs none "$root/sys/fs/cgroup"
    mount -t cgroup2 none "$root/sys/fs/cgroup"
fi
cd "$root"
pivot_root . mnt
cd /
umount -l /mnt
exec "$@"

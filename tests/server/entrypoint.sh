#!/bin/bash
# AUTHORIZED_KEY: the public key that logs in as deploy. REGISTRY_PORT: where the registry answers on 127.0.0.1, here as
# on the machine outside, so that an image has one name everywhere.
set -euo pipefail

# A group that has processes of its own gives its children no controllers, and containers need them for their limits.
if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
    mkdir -p /sys/fs/cgroup/init
    while read -r process; do
        echo "$process" > /sys/fs/cgroup/init/cgroup.procs || true
    done < /sys/fs/cgroup/cgroup.procs
    sed -e 's/ / +/g' -e 's/^/+/' /sys/fs/cgroup/cgroup.controllers > /sys/fs/cgroup/cgroup.subtree_control
fi

printf '%s\n' "$AUTHORIZED_KEY" > /home/deploy/.ssh/authorized_keys
ssh-keygen -A > /dev/null
/usr/sbin/sshd -o PasswordAuthentication=no -o PermitRootLogin=no
socat "TCP-LISTEN:$REGISTRY_PORT,bind=127.0.0.1,fork,reuseaddr" TCP:registry:5000 &

# What a killed engine left.
rm -f /run/docker.pid /run/docker/containerd/containerd.pid
# Swarm drops a stack's security_opt: here as on a server set up by cloud-init, the engine gives no new privileges.
exec dockerd --registry-mirror http://registry:5000 --no-new-privileges

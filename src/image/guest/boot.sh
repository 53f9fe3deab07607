#!/bin/sh
# boot -- what init runs first: file systems, kernel modules, the network, the API key.
set -u
# shellcheck source=/dev/null
. /etc/pixi/guest.conf

say() { echo "boot: $*"; }

# What the image has in /run stays there under the new file system.
mount_all() {
    mount -t proc -o nosuid,nodev,noexec proc /proc
    mount -t sysfs -o nosuid,nodev,noexec sys /sys
    mount -t devtmpfs -o nosuid,mode=0755 dev /dev
    ln -sf /proc/self/fd /dev/fd
    mount -t tmpfs -o nosuid,nodev,mode=1777 tmp /tmp
    cp -a /run /tmp/run
    mount -t tmpfs -o nosuid,nodev,mode=0755 run /run
    cp -a /tmp/run/. /run
    rm -r /tmp/run
    mkdir -p /run/boot /run/log /run/services
}

load_modules() {
    [ -e /etc/pixi/modules ] || return 0
    while read -r module; do
        insmod "$module" || say "the kernel module $module was not loaded"
    done </etc/pixi/modules
}

# The first interface that is not the loopback; it may take a moment to appear.
find_interface() {
    tries=0
    while [ $tries -lt 200 ]; do
        for place in /sys/class/net/*; do
            [ "${place##*/}" = lo ] || [ ! -e "$place" ] || { interface=${place##*/} && return; }
        done
        usleep 20000
        tries=$((tries + 1))
    done
    return 1
}

# udhcpc stays to renew the lease.
start_network() {
    ip link set lo up
    if ! find_interface; then
        say "no network interface came up in 4 s; does kernel.modules name its driver?"
        return
    fi
    ip link set "$interface" up
    if udhcpc -i "$interface" -n -t 10 -T 1 -s /usr/lib/pixi/lease >/run/log/udhcpc.log 2>&1; then
        cut -d ' ' -f 1 /proc/uptime >/run/boot/network
        say "network: $interface has $(cat /run/boot/address)"
    else
        say "network: nobody gave $interface an address (DHCP) in 10 s"
    fi
}

# Every program of the machine can read the kernel's command line, and logs keep it.
refuse_key() {
    set -f
    # shellcheck disable=SC2013 # words are what is wanted
    for word in $(cat /proc/cmdline); do
        case $word in
            *[aA][pP][iI]_[kK][eE][yY]=?* | *[aA][pP][iI][kK][eE][yY]=?* | *=pk_?*)
                say "found a key on the kernel command line (${word%%=*}=), where every program can read it: it is not" \
                    "used. Make a new one, and give it another way: $PIXI_KEY_FROM"
                ;;
        esac
    done
    set +f
}

mount_all
load_modules
hostname "$PIXI_IMAGE_NAME"
refuse_key
/usr/lib/pixi/key
echo $? >/run/boot/key
start_network

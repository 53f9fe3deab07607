#!/bin/sh
# lease EVENT -- what udhcpc runs when it gets, renews or loses an address; the rest is in its environment.
set -eu

write_resolv_conf() {
    for server in ${dns:-}; do
        echo "nameserver $server"
    done >/etc/resolv.conf.new
    mv /etc/resolv.conf.new /etc/resolv.conf
}

# shellcheck disable=SC2154 # udhcpc sets them
case $1 in
    deconfig) ip addr flush dev "$interface" ;;
    bound | renew)
        ifconfig "$interface" "$ip" netmask "${subnet:-255.255.255.0}"
        for gateway in ${router:-}; do
            ip route replace default via "$gateway" dev "$interface"
            break
        done
        write_resolv_conf
        echo "$ip" >/run/boot/address
        ;;
esac

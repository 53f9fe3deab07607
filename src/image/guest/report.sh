#!/bin/sh
# report -- the machine proves its own link, when its description (run_at_boot: verify) or its host asks for it. One line
# to the console; JSON, an object a line, to the virtio-serial port "report", or else to the second serial port.
#
# The host asks by fw_cfg opt/pixi/verify, whose text is a topic: then more is proven, and the
# machine goes off when the line "poweroff" comes back.
set -u
# shellcheck source=/dev/null
. /etc/pixi/guest.conf

find_port() {
    for port in /sys/class/virtio-ports/*; do
        [ -e "$port/name" ] && [ "$(cat "$port/name")" = report ] && echo "/dev/${port##*/}" && return
    done
    if [ "$(cat /sys/class/tty/ttyS1/type 2>/dev/null || echo 0)" != 0 ]; then # a port that is there has a type
        stty -F /dev/ttyS1 115200 raw -echo
        echo /dev/ttyS1
    fi
}

uptime() { cut -d ' ' -f 1 /proc/uptime; }
tell() { echo "{\"report\":\"$1\",\"uptime_s\":$(uptime)$2}" >&3; }
client() { pixi-ws-client.sh "$@" 2>>/run/log/report.log; }

# A time-out (10) may be the emulation's, on a busy machine: that is tried again, and told.
report_verify() {
    attempt=0 code=10
    while [ $code = 10 ] && [ $attempt -lt 3 ]; do
        attempt=$((attempt + 1))
        result=$(client --json verify)
        code=$?
    done
    tell verify ",\"exit\":$code,\"attempt\":$attempt,\"verify\":${result:-null}"
    count=$(echo "$result" | sed -n 's/.*"passed":\([0-9]*\).*"failed":\([0-9]*\).*/\1 ok, \2 failed/p')
    [ $code = 0 ] && word=ok || word=FAILED
    echo "verify: $word (exit code $code; $count)" >/dev/console
}

# Messages of the topic, and how the subscription fares, out of what `listen` prints.
relay() { # TOPIC
    line='' is_there='' by=server
    while :; do
        if ! IFS= read -r part; then
            line=$line$part # up to now
            usleep 20000
            continue
        fi
        line=$line$part
        case $line in
            "{\"topic\":\"$1\""*) tell received ",\"message\":$line" ;;
            'pixi-ws-client: listening to '*' again: '*) tell again '' ;;
            'pixi-ws-client: by the daemon at '*) by=daemon ;;
            'pixi-ws-client: listening to '*) [ -n "$is_there" ] || tell link ",\"by\":\"$by\"" && is_there=1 ;;
        esac
        line=''
    done
}

# The service whose link it is: the daemon, where it runs, else `listen`.
[ -e /etc/pixi/services/daemon ] && service=daemon || service=listen
tell_service() { tell service ",\"pid\":$(cat "/run/services/$service" 2>/dev/null || echo 0)"; }

# What the messages are heard by: the service `listen` itself, or a program that goes by the daemon.
start_listening() { # TOPIC
    heard=/run/log/$service listener=''
    touch "$heard"
    [ "$service" = daemon ] || return
    heard=/run/log/heard tries=0
    touch "$heard"
    until grep -q '^listening on ' /run/log/daemon 2>/dev/null || [ $tries = 500 ]; do
        usleep 20000
        tries=$((tries + 1))
    done
    pixi-ws-client.sh --verbose listen "$1" >>"$heard" 2>&1 </dev/null &
    listener=$!
}

# By the daemon, or directly: the client says which.
send() { # TOPIC PAYLOAD [--retain]
    pixi-ws-client.sh --verbose send "$@" >/dev/null 2>/run/log/send
    code=$?
    grep -q 'by the daemon at ' /run/log/send && by=daemon || by=server
    cat /run/log/send >>/run/log/report.log
    tell sent ",\"exit\":$code,\"by\":\"$by\""
}

prove() { # TOPIC
    echo "$port" >/run/boot/port
    start_listening "$1"
    relay "$1" <"$heard" &
    relay=$!
    tell key ",\"exit\":$(cat /run/boot/key)"
    tell settings ",\"sha256\":\"$(sha256sum "$PIXI_SETTINGS" | cut -d ' ' -f 1)\""
    report_verify
    version=$(client --version)
    tell launcher ",\"exit\":$?,\"version\":\"$version\""
    send "$1" '{"from":"inside"}'
    tell_service
    while IFS= read -r line <&3; do
        case $line in
            service) tell_service ;;
            # retained, so that it does not matter who is back first: its listener or the daemon
            send) send "$1" '{"from":"inside","server":"down"}' --retain ;;
            poweroff) break ;;
        esac
    done
    # shellcheck disable=SC2086 # none is no word
    kill $relay $listener
    wait
    exec 3>&- # stop opens it once more, and it is for one at a time
    poweroff
}

exec 3<>/dev/null
port=$(find_port)
[ -z "$port" ] || exec 3<>"$port"
topic=/sys/firmware/qemu_fw_cfg/by_name/opt/pixi/verify/raw
if [ -e /run/boot/network ]; then
    echo "{\"report\":\"network\",\"uptime_s\":$(cat /run/boot/network),\"address\":\"$(cat /run/boot/address)\"}" >&3
fi
if [ -e $topic ]; then
    prove "$(cat $topic)"
elif [ "$PIXI_VERIFY" = yes ]; then
    report_verify
fi

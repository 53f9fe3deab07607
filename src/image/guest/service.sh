#!/bin/sh
# service NAME -- keeps what /etc/pixi/services/NAME describes running, as its user; its output goes to /run/log/NAME.
# When it ends it is started again: after 1 s, 2 s, 4 s ... 60 s, and after 1 s again once it has run for a minute.
# SIGTERM ends it, and then this.
set -u
name=$1
# shellcheck source=/dev/null
. "/etc/pixi/services/$name" # SERVICE_USER, and the command as "$@"

now() { cut -d . -f 1 /proc/uptime; }

pid='' is_stopped=''
# shellcheck disable=SC2317 # called by the trap
stop() {
    is_stopped=1
    [ -z "$pid" ] || kill -TERM "$pid" 2>/dev/null
}
trap stop TERM

# The process that $! names is the service's own: each of these becomes the next.
start() {
    [ "$SERVICE_USER" = root ] && exec "$@"
    # shellcheck disable=SC2016 # the inner shell expands it
    exec su -s /bin/sh -c 'exec "$@"' -- "$SERVICE_USER" sh "$@"
}

# A signal to this shell ends `wait`, not the service.
wait_for() {
    wait "$1"
    code=$?
    while kill -0 "$1" 2>/dev/null; do
        wait "$1"
        code=$?
    done
}

echo $$ >"/run/services/$name.keeper"
pause=1
while [ -z "$is_stopped" ]; do
    started=$(now)
    start "$@" >>"/run/log/$name" 2>&1 </dev/null &
    pid=$!
    echo $pid >"/run/services/$name"
    [ -z "$is_stopped" ] || kill -TERM $pid
    wait_for $pid
    pid=''
    [ -z "$is_stopped" ] || break
    [ $(($(now) - started)) -lt 60 ] || pause=1
    echo "service $name: ended with $code; again in $pause s. Its last words: $(tail -n 1 "/run/log/$name")" >/dev/console
    sleep $pause &
    wait $!
    pause=$((pause < 30 ? pause * 2 : 60))
done
echo "$code" >"/run/services/$name.end"

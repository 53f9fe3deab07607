#!/bin/sh
# stop -- what init runs before the machine goes off: SIGTERM to each service, and at most 8 s for all to end.
set -u
is_up() { [ -e "$1" ] && kill -0 "$(cat "$1")" 2>/dev/null; }

for keeper in /run/services/*.keeper; do
    is_up "$keeper" && kill -TERM "$(cat "$keeper")"
done
left=0
for keeper in /run/services/*.keeper; do
    tries=0
    while is_up "$keeper" && [ $tries -lt 400 ]; do
        usleep 20000
        tries=$((tries + 1))
    done
    ! is_up "$keeper" || left=$((left + 1))
    name=$(basename "$keeper" .keeper)
    [ ! -e "/run/services/$name.end" ] || [ "$(cat "/run/services/$name.end")" = 0 ] || left=$((left + 1))
done
[ ! -e /run/boot/port ] || echo "{\"report\":\"stopped\",\"failed\":$left}" >"$(cat /run/boot/port)"

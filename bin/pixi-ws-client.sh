#!/bin/sh
# pixi-ws-client.sh [--python | --rust] ARGUMENTS... -- starts pixi-ws-client, or the same in Python or Rust.
#
# Looks for it beside this file, in ../build/bin, then on the PATH. As root it becomes user pixi, if there is
# one and it can read the settings; PIXI_WS_RUN_AS=root keeps root, PIXI_WS_RUN_AS=NAME becomes NAME.
# What was decided is one line on standard error. docs/launchers.md tells the rest.
set -u

say() { echo "pixi-ws-client.sh: $*" >&2; }

# The folder of this file itself, whatever links lead to it.
self=$0
while [ -h "$self" ]; do
    target=$(readlink "$self")
    case $target in
        /*) self=$target ;;
        *) self=$(dirname "$self")/$target ;;
    esac
done
here=$(CDPATH='' cd -P "$(dirname "$self")" && pwd -P) || exit 127

find_program() { # NAME
    for place in "$here" "$here/../build/bin"; do
        if [ -f "$place/$1" ] && [ -x "$place/$1" ]; then
            echo "$place/$1"
            return
        fi
    done
    command -v "$1"
}

# The settings that the program will read: the option may stand before the command or behind it.
settings_of() { # ARGUMENTS...
    settings=${PIXI_WS_SETTINGS:-}
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        case $1 in
            --settings=*) settings=${1#--settings=} ;;
            -s | --settings) [ $# -gt 1 ] && shift && settings=$1 ;;
            -s*) settings=${1#-s} ;;
        esac
        shift
    done
    if [ -z "$settings" ]; then
        settings=config/websocket_settings.json
        [ -e "$settings" ] || settings=/config/websocket_settings.json
    fi
    echo "$settings"
}

# setpriv of util-linux becomes the user in place; Busybox's cannot, but its su does.
become() { # COMMAND...
    if setpriv --reuid="$user" --regid="$(id -g "$user")" --init-groups true 2>/dev/null; then
        exec setpriv --reuid="$user" --regid="$(id -g "$user")" --init-groups "$@"
    fi
    # shellcheck disable=SC2016 # the inner shell expands it
    exec su -s /bin/sh -c 'exec "$@"' -- "$user" sh "$@"
}

can() { (become "$@") >/dev/null 2>&1 </dev/null; }

# Why the user cannot do the work, or nothing.
hindrance() { # SETTINGS
    if ! id "$user" >/dev/null 2>&1; then
        echo "there is no user $user"
    elif ! can test -x "$program"; then
        echo "user $user cannot run $program"
    elif [ -e "$1" ] && ! can test -r "$1"; then
        echo "user $user cannot read $1"
    elif [ -e "$1" ] && [ -n "$checker" ] && "$checker" --settings "$1" config check >/dev/null 2>&1 &&
        ! can "$checker" --settings "$1" config check; then
        echo "user $user cannot read what $1 names"
    fi
}

name=pixi-ws-client
case ${1:-} in
    --python) name=pixi-ws-client.py hint="it belongs beside this file" ;;
    --rust) name=pixi-ws-client-rust hint="make rust builds it" ;;
    *) hint="make builds it" ;;
esac
[ $name = pixi-ws-client ] || shift

if ! program=$(find_program $name); then
    say "$name is neither in $here nor in $here/../build/bin nor on the PATH; $hint"
    exit 127
fi

wanted=${PIXI_WS_RUN_AS:-}
user=${wanted:-pixi}
if [ "$(id -u)" != 0 ]; then
    [ -z "$wanted" ] || [ "$user" = "$(id -un)" ] || say "runs as user $(id -un): only root can become $user"
    exec "$program" "$@"
elif [ "$user" = root ]; then
    say "runs as root, as PIXI_WS_RUN_AS says"
    exec "$program" "$@"
fi

checker=$(find_program pixi-ws-client) || checker=''
why=$(hindrance "$(settings_of "$@")")
if [ -z "$why" ]; then
    say "runs as user $user, not as root"
    become "$program" "$@"
elif [ -n "$wanted" ]; then
    say "PIXI_WS_RUN_AS: $why"
    exit 2
fi
say "runs as root: $why"
exec "$program" "$@"

#!/bin/sh
# entry COMMAND... -- what a container starts with: finds the API key, then becomes the command, as the container's user.
# Signals reach the command itself: no shell stays around it.
set -u
# shellcheck source=/dev/null
. /etc/pixi/guest.conf

# Without a key the command says what it lacks, in its own words and with its own exit code.
[ -n "${PIXI_WS_API_KEY:-}" ] || [ -r "$PIXI_KEY_PATH" ] || /usr/lib/pixi/key || :
if [ $# = 0 ]; then
    echo "entry: no command was given" >&2
    exit 2
fi
if [ "$(id -u)" = 0 ] && [ "$PIXI_CONTAINER_USER" != root ]; then
    # shellcheck disable=SC2016 # the inner shell expands it
    exec su -s /bin/sh -c 'exec "$@"' -- "$PIXI_CONTAINER_USER" sh "$@"
fi
exec "$@"

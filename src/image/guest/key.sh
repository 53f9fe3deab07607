#!/bin/sh
# key -- bring the API key to where the settings look for it: from the first source that has one, into a file of mode
# 0400 that belongs to the user of the programs. Says where it was found, and never the key.
#
# 0: it is there, or none is wanted; 1: none was found, or it could not be put there
set -u
# shellcheck source=/dev/null
. /etc/pixi/guest.conf

say() { echo "key: $*" >&2; }

# The places that a source may mean.
places_of() { # SOURCE
    case $1 in
        file:*) echo "${1#file:}" ;;
        credential:*)
            [ -z "${CREDENTIALS_DIRECTORY:-}" ] || echo "$CREDENTIALS_DIRECTORY/${1#*:}"
            echo "/run/credentials/@system/${1#*:}"
            echo "/run/credentials/${1#*:}"
            ;;
        fw_cfg:*) echo "/sys/firmware/qemu_fw_cfg/by_name/${1#*:}/raw" ;;
    esac
}

how_to_give() { # SOURCE
    case $1 in
        file:*) echo "mount a file with the key at ${1#file:}, readable by user $PIXI_USER" ;;
        credential:*) echo "pass it as credential ${1#*:} (systemd-nspawn --load-credential=${1#*:}:FILE)" ;;
        fw_cfg:*) echo "start QEMU with -fw_cfg name=${1#*:},file=FILE" ;;
    esac
}

# printf is the shell's own: the key is on no command line.
put_key() {
    new=$PIXI_KEY_PATH.new
    [ -d "${new%/*}" ] || mkdir -p "${new%/*}"
    rm -f "$new"
    (umask 0377 && printf '%s\n' "$key" >"$new") || return 1
    if [ "$(id -u)" = 0 ]; then
        chown "$PIXI_USER:$PIXI_USER" "$new"
        [ -z "$PIXI_KEY_FOLDER" ] || { chown "$PIXI_USER:$PIXI_USER" "$PIXI_KEY_FOLDER" && chmod 0700 "$PIXI_KEY_FOLDER"; }
    fi
    mv -f "$new" "$PIXI_KEY_PATH"
}

take() { # SOURCE PLACE
    key=''
    if [ ! -r "$2" ]; then
        say "$1: user $(id -un) cannot read $2; let it belong to uid $(id -u), or start as root"
        return 1
    fi
    IFS= read -r key <"$2" || [ -n "$key" ] || { say "$1: $2 is empty" && return 1; }
    key=${key%"$(printf '\r')"}
    case $key in
        *[!!-~]*) say "$1: what is in $2 is no API key: it has blanks or characters beyond ASCII" && return 1 ;;
    esac
    if [ ${#key} -lt 16 ] || [ ${#key} -gt 512 ]; then
        say "$1: what is in $2 is no API key: ${#key} characters, expected 16 to 512"
        return 1
    fi
    put_key || { say "$PIXI_KEY_PATH cannot be written by user $(id -un)" && return 1; }
    say "found by $1"
}

[ -n "$PIXI_KEY_FROM" ] || exit 0
for source in $PIXI_KEY_FROM; do
    for place in $(places_of "$source"); do
        [ ! -e "$place" ] || { take "$source" "$place" && exit 0; }
    done
done
say "there is none. To give one:"
for source in $PIXI_KEY_FROM; do
    say "  $(how_to_give "$source")"
done
exit 1

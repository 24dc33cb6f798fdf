#!/usr/bin/env bash
# Builds tokfs, mounts the built-in model, asks it, prints the answer as it streams, and leaves the mount to play with.
#   tools/demo.sh [MOUNTPOINT]        default: ~/tokfs-demo
# On a fresh Debian 12 machine, as root or as a user with sudo. `sudo tools/demo.sh` builds and mounts as the calling user.
set -euo pipefail
cd "$(dirname "$0")/.."

tools/packages.sh build
if [ "$(id -u)" = 0 ] && [ -n "${SUDO_USER:-}" ] && [ "$SUDO_USER" != root ]; then
    exec runuser -u "$SUDO_USER" -- env -u SUDO_USER HOME="$(getent passwd "$SUDO_USER" | cut -d: -f6)" "$0" "$@"
fi
if [ ! -r /dev/fuse ]; then
    echo "tools/demo.sh: /dev/fuse is missing or not readable: this machine (or container) does not offer FUSE" >&2
    exit 1
fi

mnt=${1:-$HOME/tokfs-demo}
build=build-demo

echo "Building ..."
[ -f $build/build.ninja ] || meson setup $build -Dbuildtype=release -Dtests=disabled >/dev/null
ninja -C $build --quiet

if [ -r "$mnt/health" ]; then
    fusermount3 -u "$mnt" # an earlier demo: start afresh with what was built now
fi
mkdir -p "$mnt" 2>/dev/null || true # fails on the mount of a killed daemon, which tokfs replaces itself
$build/fs/tokfs demo "$mnt"

ask() {
    printf '\n> %s\n' "$1"
    { printf '%s\n' "$1" >&3; cat <&3; } 3<>"$mnt/ask"
    echo
}
ask 'Who are you?'
ask 'What is 17 plus 25?'
ask 'What is the capital of France? Answer in one word.'

cat <<END

The mount is at $mnt. Try:

  cat $mnt/README
  { echo 'Spell the word garden.' >&3; cat <&3; } 3<>$mnt/ask
  mkdir $mnt/sessions/bob && echo 'Hi, my name is Bob.' > $mnt/sessions/bob/input && cat $mnt/sessions/bob/output
  echo 'What is my name?' > $mnt/sessions/bob/input; cat $mnt/sessions/bob/output

Stop it with:  fusermount3 -u $mnt
END

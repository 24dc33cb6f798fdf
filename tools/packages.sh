#!/usr/bin/env bash
# Installs the Debian packages that a task needs, if any is missing: tools/packages.sh build|test|fuzz ...
# As root, or through sudo. Does nothing (and needs no rights) when everything is there.
set -euo pipefail

build="gcc libc6-dev meson ninja-build pkg-config libfuse3-dev fuse3 liburing-dev libjsmn-dev libpcre2-dev libutf8proc-dev libxxhash-dev libncurses-dev libmicrohttpd-dev libgnutls28-dev libcurl4-gnutls-dev libmsgpack-dev libhiredis-dev libzmq3-dev"
test="$build git libcmocka-dev clang-format python3 python3-jsonschema dash mksh busybox procps util-linux curl file perl rsync redis-server redis-tools python3-msgpack python3-redis python3-zmq"
fuzz="clang libclang-rt-dev"

wanted=
for group in "$@"; do
    case $group in
    build) wanted="$wanted $build" ;;
    test) wanted="$wanted $test" ;;
    fuzz) wanted="$wanted $fuzz" ;;
    *) echo "tools/packages.sh: $group: not a group of packages (build, test, fuzz)" >&2; exit 2 ;;
    esac
done

missing=
for package in $wanted; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
    as_root=
elif command -v sudo >/dev/null; then
    as_root=sudo
else
    echo "tools/packages.sh: run as root, or install sudo: these packages are missing:$missing" >&2
    exit 1
fi
echo "Installing:$missing"
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get update -q=2
# shellcheck disable=SC2086 # a list of words
$as_root apt-get install -q=2 -y --no-install-recommends $missing >/dev/null

#!/usr/bin/env bash
# Installs what a task needs, if any of it is missing: tools/packages.sh build|test|fuzz ...
# Debian packages as root, or through sudo; for the tests also Python packages, in build-python. Does nothing (and needs no rights)
# when everything is there.
set -euo pipefail
cd "$(dirname "$0")/.."

build="gcc libc6-dev meson ninja-build pkg-config libfuse3-dev fuse3 liburing-dev libjsmn-dev libpcre2-dev libutf8proc-dev libxxhash-dev libncurses-dev libmicrohttpd-dev libgnutls28-dev libcurl4-gnutls-dev libmsgpack-dev libhiredis-dev libzmq3-dev"
test="$build g++ git libcmocka-dev clang-format python3 python3-jsonschema python3-yaml python3-venv dash mksh busybox procps util-linux curl jq file perl rsync redis-server redis-tools python3-msgpack python3-redis python3-zmq"
if command -v nvcc >/dev/null || [ -x /usr/local/cuda/bin/nvcc ]; then
    test="$test python3-numpy" # for the interpreter of what nvcc makes (tests/oracle/ptx)
fi
fuzz="clang libclang-rt-dev"

install_packages() { # PACKAGE...
    local missing= package as_root=
    for package in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" != 0 ]; then
        as_root=sudo
        if ! command -v sudo >/dev/null; then
            echo "tools/packages.sh: run as root, or install sudo: these packages are missing:$missing" >&2
            exit 1
        fi
    fi
    echo "Installing:$missing"
    export DEBIAN_FRONTEND=noninteractive
    $as_root apt-get update -q=2
    # shellcheck disable=SC2086 # a list of words
    $as_root apt-get install -q=2 -y --no-install-recommends $missing >/dev/null
}

# The programs of others that speak the API. Without a network there are none, and their tests are skipped.
install_clients() {
    local dir=build-python
    if cmp -s tests/requirements.txt $dir/requirements.txt; then
        return 0
    fi
    echo "Installing: tests/requirements.txt"
    rm -rf $dir
    if python3 -m venv $dir && timeout 240 $dir/bin/pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: \
        --retries 1 --timeout 15 -r tests/requirements.txt; then
        cp tests/requirements.txt $dir
    else
        rm -rf $dir
        echo "tools/packages.sh: tests/requirements.txt cannot be installed: tests of clients will be skipped" >&2
    fi
}

wanted= wants_clients=
for group in "$@"; do
    case $group in
    build) wanted="$wanted $build" ;;
    test) wanted="$wanted $test" wants_clients=1 ;;
    fuzz) wanted="$wanted $fuzz" ;;
    *) echo "tools/packages.sh: $group: not a group of packages (build, test, fuzz)" >&2; exit 2 ;;
    esac
done
# shellcheck disable=SC2086 # a list of words
install_packages $wanted
# tools/test.sh under sudo comes back as the user, who is to own what is built.
if [ -n "$wants_clients" ] && { [ "$(id -u)" != 0 ] || [ -z "${SUDO_USER:-}" ] || [ "$SUDO_USER" = root ]; }; then
    install_clients
fi

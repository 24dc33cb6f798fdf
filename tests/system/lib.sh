# Sourced by the shell tests of the mount (POSIX sh). Mounts on a directory of its own, always unmounts, ends only what it
# started. The caller's environment: TOKFS_BIN (program), TOKFS_MODEL (its MODEL argument).
#
# The mount is $M; scratch files go to $T; `fail` and `expect` say what differed; end with `finish`.

skip() {
    echo "skipped: $*"
    exit 77
}

[ -n "${TOKFS_BIN:-}" ] && [ -x "$TOKFS_BIN" ] || skip "TOKFS_BIN is not a program"
[ -r /dev/fuse ] && [ -w /dev/fuse ] || skip "no access to /dev/fuse"
command -v fusermount3 >/dev/null || skip "no fusermount3"

T=$(mktemp -d "${TMPDIR:-/tmp}/tokfs-test.XXXXXX") || exit 1
M=$T/m
mkdir "$M"
daemon=
n_failed=0

unmount() {
    if [ -n "$daemon" ]; then
        kill "$daemon" 2>/dev/null
        wait "$daemon"
        daemon_status=$?
        daemon=
    fi
    fusermount3 -u -q -z "$M" 2>/dev/null
}

tidy() {
    unmount
    rm -rf "$T"
}
trap tidy EXIT
trap 'exit 1' INT TERM HUP

# Mounts in the background of this shell, so that its process is known; options may be given.
mount_up() {
    "$TOKFS_BIN" -f "$@" "${TOKFS_MODEL:-demo}" "$M" 2>"$T/stderr" &
    daemon=$!
    for _ in $(seq 3000); do
        [ -e "$M/health" ] && return 0
        kill -0 "$daemon" 2>/dev/null || break
        sleep 0.1
    done
    echo "the mount did not come up:"
    cat "$T/stderr"
    exit 1
}

fail() {
    echo "FAILED: $*"
    n_failed=$((n_failed + 1))
}

# expect WHAT GOT WANTED
expect() {
    [ "$2" = "$3" ] || fail "$1: got '$2', wanted '$3'"
}

# expect_some WHAT GOT: anything but nothing
expect_some() {
    [ -n "$2" ] || fail "$1: got nothing"
}

# wait_until COMMAND...: tries it for some minutes, that is as long as any machine may take
wait_until() {
    for _ in $(seq 3000); do
        "$@" && return 0
        sleep 0.1
    done
    return 1
}

# expect_status WHAT WANTED COMMAND...: its exit status
expect_status() {
    _what=$1
    _wanted=$2
    shift 2
    "$@" >"$T/out" 2>"$T/err"
    _status=$?
    [ "$_status" = "$_wanted" ] || fail "$_what: exit status $_status, wanted $_wanted: $(cat "$T/err")"
}

finish() {
    unmount
    [ "${daemon_status:-0}" = 0 ] || fail "the daemon ended with status $daemon_status: $(cat "$T/stderr")"
    [ ! -s "$T/stderr" ] || fail "the daemon said: $(cat "$T/stderr")"
    [ "$n_failed" = 0 ] || exit 1
    echo ok
    exit 0
}

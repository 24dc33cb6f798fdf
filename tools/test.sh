#!/usr/bin/env bash
# Builds tokfs three times (release; address and undefined-behaviour sanitizers; thread sanitizer) and runs all tests in each.
#   tools/test.sh [release|asan|tsan|fuzz ...]     default: the first three
# fuzz: built by clang, every parser is fed by libFuzzer for a minute, two per processor at a time.
# On a fresh Debian 12 machine, as root or as a user with sudo. The last line tells how many passed, failed and were skipped.
set -euo pipefail
cd "$(dirname "$0")/.."

case " $* " in
*" fuzz "*) tools/packages.sh test fuzz ;;
*) tools/packages.sh test ;;
esac
if [ "$(id -u)" = 0 ] && [ -n "${SUDO_USER:-}" ] && [ "$SUDO_USER" != root ]; then
    exec runuser -u "$SUDO_USER" -- env -u SUDO_USER HOME="$(getent passwd "$SUDO_USER" | cut -d: -f6)" "$0" "$@"
fi
[ $# -gt 0 ] || set -- release asan tsan

echo "== format"
if [ -e .git ]; then
    git ls-files '*.c' '*.h' '*.cu' '*.cpp' | xargs -r clang-format --dry-run -Werror
fi

configure() { # DIR OPTION...
    local dir=$1
    shift
    if [ -f "$dir/build.ninja" ]; then
        meson configure "$dir" "$@"
    else
        meson setup "$dir" "$@" >/dev/null
    fi
}

# Errors of a sanitizer must fail the test that saw them, also in a daemon whose exit status nobody reads: see tests/system/lib.sh.
export ASAN_OPTIONS=abort_on_error=0:exitcode=99:detect_leaks=1
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1:exitcode=99
export TSAN_OPTIONS=halt_on_error=1:exitcode=99:second_deadlock_stack=1

# Tests of the system meet the machine's other work: those that failed run once more, alone. One that passes then counts, and is listed at the end.
# What a sanitizer reported, or a test within one process, is final.
again() { # KIND: 0 if all that failed may be tried again, and passed
    local kind=$1 name
    python3 tests/system/failed.py "build-$kind/meson-logs/testlog.json" >"build-$kind/failed" || return 1
    while IFS= read -r name <&3; do
        echo "== $kind: once more, alone: $name"
        # shellcheck disable=SC2086 # a list of words
        $run meson test $only -C "build-$kind" --no-rebuild --print-errorlogs --logbase again "$name" || return 1
        flaky="$flaky$kind: $name
"
    done 3<"build-$kind/failed"
}

failed=0
flaky=
logs=
for kind in "$@"; do
    echo "== $kind"
    case $kind in
    release) configure build-release -Dbuildtype=release -Dtests=enabled ;;
    asan) configure build-asan -Dbuildtype=debugoptimized -Dtests=enabled -Db_sanitize=address,undefined -Db_lundef=false ;;
    tsan) configure build-tsan -Dbuildtype=debugoptimized -Dtests=enabled -Db_sanitize=thread -Db_lundef=false ;;
    fuzz)
        CC=clang configure build-fuzz -Dbuildtype=debugoptimized -Dtests=enabled -Db_sanitize=address,undefined -Db_lundef=false \
            -Dc_args=-fsanitize=fuzzer-no-link -Dfuzz_seconds=60
        ;;
    *) echo "tools/test.sh: $kind: not release, asan, tsan or fuzz" >&2; exit 2 ;;
    esac
    # gcc's thread sanitizer cannot start under the widest address randomisation of newer kernels: run without it.
    run= only= programs=
    n_jobs=$(($(nproc) + 2)) # many tests wait more than they compute
    [ "$kind" != fuzz ] || n_jobs=$((2 * $(nproc))) # a minute each of the clock, so that all of CI stays below twenty
    [ "$kind" != fuzz ] || only="--suite libfuzzer" programs=fuzz-programs
    [ "$kind" != tsan ] || run="setarch $(uname -m) -R"
    # Variants of a test (tests/system/meson.build) show a sanitizer nothing new, tests of one thread nothing to the thread sanitizer:
    # TOKFS_TEST_ALL=1 runs them all.
    case ${TOKFS_TEST_ALL:-}$kind in
    asan) only="--no-suite variant" ;;
    tsan) only="--no-suite variant --no-suite one-thread" ;;
    esac
    # shellcheck disable=SC2086 # lists of words
    ninja -C "build-$kind" --quiet $programs
    # shellcheck disable=SC2086
    $run meson test $only -C "build-$kind" --no-rebuild --print-errorlogs --num-processes "$n_jobs" || again "$kind" || failed=1
    logs="$logs build-$kind/meson-logs/testlog.json"
done

[ -z "$flaky" ] || printf 'Failed beside others and passed alone (a defect of the test or of tokfs, to be looked into):\n%s' "$flaky"
# shellcheck disable=SC2086 # a list of words
python3 - $logs <<'END'
import json, sys

count = {"OK": 0, "SKIP": 0}
failed = 0
for path in sys.argv[1:]:
    for line in open(path, encoding="utf-8"):
        result = json.loads(line)["result"]
        if result in count:
            count[result] += 1
        else:
            failed += 1
print(f"{count['OK']} passed, {failed} failed at first, {count['SKIP']} skipped")
END
exit $failed

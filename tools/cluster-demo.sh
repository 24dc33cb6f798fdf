#!/usr/bin/env bash
# Several nodes behind a router, on one machine: Redis, N mounts of the built-in model, a bridge for each, a router, and a load of
# chats that share system prompts, sent by each policy to nodes that begin with empty caches.
#   tools/cluster-demo.sh [N]         default: 3
# As root each bridge has a network namespace and an address of its own; otherwise a port of the loopback. Then the third run is
# repeated with a node killed in the middle. BUILD (default: build-demo, which is built) names a build folder; REQUESTS (600),
# WORDS (500, of a system prompt), CLIENTS (2 for each node).
set -euo pipefail
cd "$(dirname "$0")/.."
n=${1:-3}
requests=${REQUESTS:-600} words=${WORDS:-500} clients=${CLIENTS:-$((2 * n))}
groups=$((4 * n))
prompt_tokens=$((words * 2 + 60)) # about
case $n in '' | *[!0-9]* | 0) echo "usage: tools/cluster-demo.sh [N]" >&2; exit 2 ;; esac
if [ -z "${BUILD:-}" ]; then
    tools/packages.sh build
    BUILD=build-demo
    [ -f $BUILD/build.ninja ] || meson setup $BUILD -Dbuildtype=release -Dtests=disabled >/dev/null
    ninja -C $BUILD --quiet
fi
for program in redis-server python3 fusermount3; do
    command -v $program >/dev/null || { echo "tools/cluster-demo.sh: $program is missing" >&2; exit 1; }
done
[ -r /dev/fuse ] || { echo "tools/cluster-demo.sh: no /dev/fuse" >&2; exit 1; }

dir=$(mktemp -d "${TMPDIR:-/tmp}/tokfs-cluster.XXXXXX")
id=tc$$
pids=() namespaces=0

stop_nodes() {
    [ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null || true
    for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
    pids=()
    for i in $(seq "$n"); do fusermount3 -u -q -z "$dir/m$i" 2>/dev/null || true; done
}
clean_up() {
    stop_nodes
    for i in $(seq $namespaces); do ip netns del "$id-$i" 2>/dev/null || true; done
    ip link del "$id" 2>/dev/null || true
    rm -rf "$dir"
}
trap clean_up EXIT

# 10.77.0.I in a namespace of its own, or port 77NN of the loopback.
if [ "$(id -u)" = 0 ] && ip link add "$id" type bridge 2>/dev/null && ip addr add 10.77.0.254/24 dev "$id" && ip link set "$id" up; then
    for i in $(seq "$n"); do
        ip netns add "$id-$i" && namespaces=$i
        ip link add "$id.$i" type veth peer name eth0 netns "$id-$i"
        ip link set "$id.$i" master "$id" up
        ip -n "$id-$i" addr add "10.77.0.$i/24" dev eth0
        ip -n "$id-$i" link set eth0 up
        ip -n "$id-$i" link set lo up
    done
    echo "$n nodes in network namespaces, 10.77.0.1 to 10.77.0.$n"
else
    ip link del "$id" 2>/dev/null || true
    echo "$n nodes on ports of the loopback"
fi
address() { if [ $namespaces -gt 0 ]; then echo "10.77.0.$1:8000"; else echo "127.0.0.1:$((7700 + $1))"; fi; }
# In the background only: the process becomes the command, so that its pid is the one to kill.
within() { if [ $namespaces -gt 0 ]; then local i=$1; shift; exec nsenter --net="/run/netns/$id-$i" "$@"; else shift; exec "$@"; fi; }

await() { # WHAT COMMAND...
    local what=$1
    shift
    for _ in $(seq 300); do "$@" >/dev/null 2>&1 && return; sleep 0.1; done
    echo "tools/cluster-demo.sh: $what did not come up" >&2
    exit 1
}

start() { # POLICY
    local i
    redis-server --port 0 --unixsocket "$dir/redis" --save '' --dir "$dir" >/dev/null &
    pids+=($!)
    await Redis test -S "$dir/redis"
    node_pids=()
    for i in $(seq "$n"); do
        mkdir -p "$dir/m$i"
        # Room for the system prompts that a node has to hold (4), and for what runs: a node cannot hold them all. (2560 bytes a token.)
        $BUILD/fs/tokfs -f --threads 1 --kv-mem "$((11 * prompt_tokens * 2560 / 2))" demo "$dir/m$i" 2>>"$dir/log" &
        pids+=($!)
    done
    for i in $(seq "$n"); do
        await "mount $i" test -r "$dir/m$i/health"
        within "$i" $BUILD/tools/bridge/tokfs-bridge --listen "$(address "$i")" --node "node$i" --redis "unix://$dir/redis" "$dir/m$i" 2>>"$dir/log" &
        pids+=($!)
        node_pids+=($!)
    done
    $BUILD/tools/bridge/tokfs-bridge --listen 127.0.0.1:7790 --route "$1" --follow "unix://$dir/redis" \
        --model demo=tools/demo/model 2>>"$dir/log" &
    pids+=($!)
    await "the router" peers_are_there
}
peers_are_there() {
    [ "$(curl -s -d '{"prompt":"a"}' http://127.0.0.1:7790/score | tr -cd : | wc -c)" -ge "$n" ] || return 1
}
load() { python3 tools/cluster_load.py http://127.0.0.1:7790 --groups $groups --words "$words" --clients "$clients" "$@"; }
show() { # LABEL JSON
    python3 -c 'import json, sys
r = json.loads(sys.argv[2])
print("%-24s hit rate %5.1f %%   TTFT p50 %6.1f ms   p90 %6.1f ms   %5.1f requests/s   failed %d" % (sys.argv[1], 100 * r["hit_rate"],
      r["ttft_ms_p50"], r["ttft_ms_p90"], r["requests_per_s"], r["failed"]), *r["errors"])' "$1" "$2"
}

echo "$requests chats, $groups system prompts of $words words, $clients clients"
for policy in random round-robin prefix; do
    start $policy
    result=$(load --requests "$requests" --warm $((3 * groups)))
    show $policy "$result"
    printf '%s\n' "$result" >"$dir/$policy"
    stop_nodes
done

start prefix
load --requests "$requests" >"$dir/killed" &
loading=$!
sleep 1
kill -9 "${node_pids[0]}"
wait $loading
show "prefix, a node killed" "$(cat "$dir/killed")"
sleep 11 # its heartbeat lapses
curl -s -d '{"prompt":"a"}' http://127.0.0.1:7790/score | python3 -c 'import json, sys
print("peers left:", " ".join(sorted(json.load(sys.stdin))))'

python3 - "$dir" <<'END'
import json, sys

r = {name: json.load(open(f"{sys.argv[1]}/{name}")) for name in ("random", "round-robin", "prefix", "killed")}
print("prefix: %.1f times the hit rate of round-robin, %.2f times its TTFT p90" % (
    r["prefix"]["hit_rate"] / max(r["round-robin"]["hit_rate"], 1e-9), r["prefix"]["ttft_ms_p90"] / r["round-robin"]["ttft_ms_p90"]))
sys.exit(1 if r["killed"]["failed_without_a_byte"] else 0)
END

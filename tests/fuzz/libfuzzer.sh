#!/bin/sh
# Runs a libFuzzer target for some seconds:  libfuzzer.sh FUZZ-NAME LIBFUZZER-NAME SECONDS
# It begins with the seeds and words of the target. What breaks it stays beside it, as LIBFUZZER-NAME.crash-... and the like.
set -eu
bounded=$1 unbounded=$2 seconds=$3

corpus=$(mktemp -d)
trap 'rm -rf "$corpus"' EXIT
mkdir "$corpus/inputs"
"$bounded" -w "$corpus/inputs"
mv "$corpus/inputs/words.dict" "$corpus/words"
"$unbounded" -max_total_time="$seconds" -dict="$corpus/words" -max_len=16384 -timeout=20 -rss_limit_mb=2048 -verbosity=0 \
    -print_final_stats=1 -artifact_prefix="$unbounded." "$corpus/inputs"

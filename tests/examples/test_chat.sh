#!/bin/sh
# The example program on the C API: answers, and fails with words and a status when it cannot.
# Arguments: the example, tokfs-model.
set -eu
chat=$1 tool=$2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"$tool" random --shape tiny --dtype f32 --seed 3 "$dir/model" >"$dir/log"

"$chat" "$dir/model" 'Say "hi"\now' >"$dir/answer" 2>"$dir/note"
[ "$(wc -c <"$dir/answer")" -gt 1 ] || { echo 'no answer'; exit 1; }
grep -q 'answer tokens' "$dir/note" || { cat "$dir/note"; exit 1; }
"$chat" "$dir/model" 'Say "hi"\now' >"$dir/again" 2>"$dir/note"
cmp "$dir/answer" "$dir/again" || { echo 'the second answer differs'; exit 1; }

if "$chat" "$dir/none" hello >"$dir/out" 2>"$dir/note"; then
    echo 'a missing model was not an error'
    exit 1
fi
grep -q "$dir/none" "$dir/note" || { cat "$dir/note"; exit 1; }

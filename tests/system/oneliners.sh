#!/bin/sh
# Every command of the manual's list, run by the shell named in $1 ("bash", "dash", "mksh", "busybox sh"). Each is one line of
# the form that a person types. Sampling is greedy, so that the same question asked twice gives the same answer.
shell=$1
. "$(dirname "$0")/lib.sh"
command -v ${shell%% *} >/dev/null || skip "no $shell here"
export TOKFS_FAKE_TOKEN_US=2000 # of the null model
mount_up
cd "$M" || exit 1

run() { # in the shell under test; stdout is the result
    timeout 300 $shell -c "$1" 2>"$T/err"
}

json='{"messages":[{"role":"user","content":"Why is the sky blue?"}],"temperature":0,"max_tokens":40}'
export json M T
printf '%s' "$json" >"$T/request.json"
wanted=$(cd "$M" && mkdir sessions/reference && cat "$T/request.json" >sessions/reference/input && cat sessions/reference/text)
expect_some "the reference answer" "$wanted"

got=$(run "{ echo 'Why is the sky blue?' >&3; cat <&3; } 3<>ask")
expect_some "ask" "$got"

got=$(run '{ printf %s "$json" >&3; cat <&3; echo; echo "And why is it dark at night?" >&3; cat <&3; } 3<>ask')
expect "ask, first of two turns" "$(printf '%s\n' "$got" | head -n "$(printf '%s\n' "$wanted" | wc -l)")" "$wanted"
[ "${#got}" -gt "$((${#wanted} + 1))" ] || fail "ask: the second turn gave no answer"

got=$(run 'exec 3<>sessions/new; printf %s "$json" >&3; read -r id <&3; exec 3>&-; cat sessions/$id/output')
expect "new, by descriptor" "$got" "$wanted"

got=$(run 'echo "$json" > sessions/new && cat sessions/last/output')
expect "new, then last" "$got" "$wanted"

got=$(run 'cat $T/request.json > sessions/new && cat sessions/last/output')
expect "new written by another program, then last" "$got" "$wanted"

got=$(run 'mkdir sessions/bob && echo hi > sessions/bob/input && cat sessions/bob/output')
expect_some "mkdir, input, output" "$got"

got=$(run 'echo more > sessions/bob/input; cat sessions/bob/output')
expect_some "the next turn" "$got"
expect "messages after two turns" "$(grep -o '"role"' sessions/bob/messages | wc -l)" 4

run "echo 'Be terse' > sessions/bob/system;  echo 'temperature 0.2' > sessions/bob/params"
expect "system" "$(cat sessions/bob/system)" "Be terse"
expect "params" "$(cat sessions/bob/params)" '{"temperature":0.2}'
run "echo 'top_p 0.9' >> sessions/bob/params; echo ' Be kind' >> sessions/bob/system"
expect "params, appended" "$(cat sessions/bob/params)" '{"temperature":0.2,"top_p":0.9}'
expect "system, appended" "$(cat sessions/bob/system | wc -l)" 2
run ": > sessions/bob/params; truncate -s 0 sessions/bob/system"
expect "params, truncated" "$(cat sessions/bob/params)" '{}'
expect "system, truncated" "$(cat sessions/bob/system)" ""

printf 'one\ntwo\n' >"$T/diff"
run '{ echo Review:; cat $T/diff; } > sessions/bob/input'
expect_some "input in pieces" "$(run 'cat sessions/bob/output')"
grep -q 'Review:\\none\\ntwo"' sessions/bob/messages || fail "input in pieces is not one message: $(cat sessions/bob/messages)"

# Listens before the turn begins; -s 0.1 only makes the test short.
tail -f -s 0.1 -n +1 sessions/bob/output >"$T/followed" &
follower=$!
wait_until test -s "$T/followed" || fail "tail -f: it says nothing"
run 'echo again > sessions/bob/input'
got=$(run 'cat sessions/bob/text')
has_followed() {
    case $(cat "$T/followed") in
    *"$got") [ -n "$got" ] ;;
    *) return 1 ;;
    esac
}
wait_until has_followed || fail "tail -f: got '$(cat "$T/followed")', wanted it to end in '$got'"
kill $follower
wait $follower 2>/dev/null

# A model that is faster than the shell has answered before it is told: then once more.
long='{"messages":[{"role":"user","content":"count 100000"}],"ignore_eos":true}'
export long
is_cancelled() {
    got=$(run 'echo "$long" > sessions/bob/input; echo cancel > sessions/bob/ctl;  read -r st < sessions/bob/wait; echo $st')
    case $got in
    cancelled*) ;;
    *) run 'echo reset > sessions/bob/ctl'; return 1 ;;
    esac
}
wait_until is_cancelled || fail "cancel, wait: got '$got'"
expect_status "output of a cancelled turn" 1 timeout 300 cat sessions/bob/output
expect_status "text of a cancelled turn" 1 timeout 300 cat sessions/bob/text

run 'echo "$json" > sessions/reference/input; cp sessions/reference/text $T/answer.txt; cp sessions/reference/messages $T/chat.json'
expect_some "cp text" "$(cat "$T/answer.txt")"
expect "cp messages" "$(grep -o '"role"' "$T/chat.json" | wc -l)" 4

got=$(run '{ cat $T/request.json >&3; cat <&3; } 3<>v1/chat/completions')
case $got in
'{"id":"chatcmpl-'*'"object":"chat.completion"'*) ;;
*) fail "v1/chat/completions: got '$got'" ;;
esac
got=$(run '{ echo "{\"content\": \"Hello\"}" >&3; cat <&3; } 3<>tokenize')
case $got in
'{"count":'[1-5]',"max_model_len":'*) ;;
*) fail "tokenize: got '$got'" ;;
esac
got=$(run '{ echo "{\"text\": \"Hello\", \"sampling_params\": {\"max_new_tokens\": 3}}" >&3; cat <&3; } 3<>generate')
case $got in
'{"text":"'*'"output_ids":['*'"meta_info":{"id":"gen-'*) ;;
*) fail "generate: got '$got'" ;;
esac
got=$(run '{ echo "{\"tokens\": [72, 105]}" >&3; cat <&3; } 3<>detokenize')
case $got in
'{"prompt":"'*'","content":"'*'"}') ;;
*) fail "detokenize: got '$got'" ;;
esac
got=$(run '{ cat $T/request.json >&3; cat <&3; } 3<>apply-template')
case $got in
'{"prompt":"'*'"}') ;;
*) fail "apply-template: got '$got'" ;;
esac
got=$(run 'cat models/*/info.json')
case $got in
'{"id":"'*'"architecture":"'*) ;;
*) fail "models: got '$got'" ;;
esac
run '{ echo "{\"input\": \"x\"}" >&3; } 3<>v1/embeddings' 2>/dev/null && fail "v1/embeddings: echo did not fail"
got=$(run 'cat v1/models')
case $got in
'{"object":"list","data":[{"id":"'*) ;;
*) fail "v1/models: got '$got'" ;;
esac

for i in 1 2 3 4 5 6; do printf '%s' "$json" >"$T/r$i.json"; done
run 'cd $T; for f in r?.json; do n=${f%.json}; (mkdir $M/sessions/$n && cat $f >$M/sessions/$n/input && cat $M/sessions/$n/text >$n.txt)& done; wait'
for i in 1 2 3 4 5 6; do expect "parallel session $i" "$(cat "$T/r$i.txt")" "$wanted"; done

run 'rmdir sessions/r1 && rm -r sessions/r2'
[ ! -e sessions/r1 ] && [ ! -e sessions/r2 ] || fail "rmdir and rm -r leave sessions"

cd /
finish

#!/bin/sh
# Garbage in: the command that writes it fails, sessions/error says where and why, and the mount goes on.
. "$(dirname "$0")/lib.sh"
export TOKFS_FAKE_TOKEN_US=2000 # of the null model
mount_up
cd "$M" || exit 1

# refused WHAT ERRNO-TEXT PATTERN-OF-REASON JSON: by bash's echo, which tells the errno
refused() {
    BODY=$4 bash -c 'echo "$BODY" > sessions/new' 2>"$T/err" && fail "$1: echo did not fail"
    grep -q "$2" "$T/err" || fail "$1: '$(cat "$T/err")' is not '$2'"
    case $(cat sessions/error) in
    *"$3"*) ;;
    *) fail "$1: the reason is '$(cat sessions/error)', wanted '$3'" ;;
    esac
}

inval='Invalid argument'
user='"messages":[{"role":"user","content":"hi"}]'
refused "not JSON" "$inval" "a JSON object is expected" 'hello'
refused "bad JSON" "$inval" "byte 12" '{"messages":]}'
refused "no messages" "$inval" "messages" '{"max_tokens":3}'
refused "no message" "$inval" "messages" '{"messages":[]}'
refused "wrong type" "$inval" "messages" '{"messages":"hi"}'
refused "wrong type inside" "$inval" "messages[0].content" '{"messages":[{"role":"user","content":5}]}'
refused "a role that does not exist" "$inval" "messages[0].role" '{"messages":[{"role":"king","content":"hi"}]}'
refused "temperature as text" "$inval" "temperature" "{$user,\"temperature\":\"warm\"}"
refused "temperature below 0" "$inval" "temperature" "{$user,\"temperature\":-1}"
refused "unknown model" 'No such file or directory' "model" "{$user,\"model\":\"no-such-model\"}"
if [ "$TOKFS_MODEL" != null ]; then
    refused "empty model" 'No such file or directory' "model" "{$user,\"model\":\"\"}"
    refused "empty template" "$inval" "the prompt has no tokens" "{$user,\"chat_template\":\"\"}"
fi
refused "invalid UTF-8" "$inval" "UTF-8" "$(printf '{"messages":[{"role":"user","content":"\377"}]}')"
BODY="{$user,\"frobnicate\":1}" bash -c 'echo "$BODY" > sessions/new' 2>"$T/err" && fail "unknown field: echo did not fail"
grep -q frobnicate sessions/error || fail "unknown field: the reason is '$(cat sessions/error)'"

head -c 10000000 /dev/zero | tr '\0' '[' >"$T/nesting"
expect_status "10 MB of nesting" 1 timeout 300 cp "$T/nesting" sessions/new
{ printf '{"messages":'; cat "$T/nesting"; } >"$T/nested_member"
expect_status "10 MB of nesting in an object" 1 timeout 300 dd if="$T/nested_member" of=sessions/new bs=1M status=none
{ printf '{"messages":[{"role":"user","content":"'; head -c 10000000 /dev/zero | tr '\0' 'x'; } >"$T/big"
expect_status "a body over the limit" 1 timeout 300 dd if="$T/big" of=sessions/new bs=1M status=none
grep -q 'File too large' "$T/err" || fail "a body over the limit: $(cat "$T/err")"
grep -q limit sessions/error || fail "a body over the limit: the reason is '$(cat sessions/error)'"

# JSON without an end can be told only to who asks close(2), as cat and dd do; the reason is there for all.
printf '{"messages":' >"$T/endless"
expect_status "JSON without an end" 1 cp "$T/endless" sessions/new
grep -q 'ends inside' sessions/error || fail "JSON without an end: the reason is '$(cat sessions/error)'"

# Nothing of all that left a session behind.
expect "sessions left" "$(ls sessions | grep -v -x -e new -e error -e last)" ""

# In a session the reason is in its own file.
mkdir sessions/s
bash -c 'printf "\377" > sessions/s/input' 2>/dev/null && fail "invalid UTF-8 as text: printf did not fail"
grep -q UTF-8 sessions/s/error || fail "invalid UTF-8 as text: '$(cat sessions/s/error)'"
bash -c 'echo "temprature 0.2" > sessions/s/params' 2>/dev/null && fail "unknown parameter: echo did not fail"
grep -q temprature sessions/s/error || fail "unknown parameter: '$(cat sessions/s/error)'"
bash -c 'echo "temperature hot" > sessions/s/params' 2>/dev/null && fail "bad parameter: echo did not fail"
bash -c 'echo "[{}]" > sessions/s/tools' 2>/dev/null && fail "bad tools: echo did not fail"
bash -c 'echo "dance" > sessions/s/ctl' 2>/dev/null && fail "unknown command: echo did not fail"
grep -q dance sessions/s/error || fail "unknown command: '$(cat sessions/s/error)'"
bash -c 'echo "{\"role\":\"user\"" > sessions/s/input'
# A model that is faster than the shell has answered before it is asked again: then once more.
long='{"messages":[{"role":"user","content":"count 100000"}],"ignore_eos":true}'
is_busy() {
    echo "$long" >sessions/s/input
    bash -c 'echo "and now?" > sessions/s/input' 2>"$T/err"
    _status=$?
    echo cancel >sessions/s/ctl
    cat sessions/s/wait >/dev/null
    echo reset >sessions/s/ctl
    [ "$_status" != 0 ]
}
wait_until is_busy || fail "a turn is running: echo did not fail"
grep -q 'resource busy' "$T/err" || fail "a turn is running: $(cat "$T/err")"

# A transaction file gives the error object.
got=$({ echo '{"messages":[{"role":"king","content":"x"}]}' >&3; cat <&3; } 3<>v1/chat/completions 2>/dev/null)
case $got in
'{"error":{'*'messages[0].role'*) ;;
*) fail "the error object: '$got'" ;;
esac
got=$({ printf '{"messages":' >&3; cat <&3; } 3<>v1/chat/completions 2>/dev/null)
case $got in
'{"error":{'*) ;;
*) fail "the error object of a body without an end: '$got'" ;;
esac

# Names and permissions.
expect_status "mkdir of a fixed name" 1 mkdir sessions/new
expect_status "mkdir outside of sessions" 1 mkdir v1/x
for make in 'touch sessions/s/x' 'touch x' 'ln -s a sessions/x' 'ln ask x' 'mkfifo sessions/x'; do
    expect_status "$make" 1 $make
    grep -q 'not permitted' "$T/err" || fail "$make: $(cat "$T/err")"
done
expect_status "removal of a fixed file" 1 rm -f ask
timeout 300 grep -r -s role . >/dev/null
[ $? != 124 ] || fail "grep -r hangs"
expect_status "find" 0 timeout 300 find .

expect "health" "$(cat health)" ok
cd /
finish

# shellcheck shell=bash
# What tests/deploy/package and tests/deploy/image share: a clean Debian, emulated providers, an agent, and a call.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
number=+31201234567

say() { printf '== %s\n' "$*"; }

fail() {
    printf 'FAILED: %s\n' "$*" >&2
    exit 1
}

# PROGRAM: what is shipped does not grow unseen (docs/benchmarks.md has what is in it).
is_small() {
    local bytes
    bytes=$(stat -c %s "$1")
    [ "$bytes" -le 80000000 ] || fail "the program has $bytes bytes"
}

# SECONDS COMMAND...: repeats the command until it succeeds.
within() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.2
    done
}

# PACKAGES...: installs what is missing here.
needs() {
    local missing=()
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} = 0 ] || { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}"; }
}

# FILE: a clean Debian with apt and the roots of certificates, as a tar file that is made once (DEPLOY_BASE).
debian() {
    local base=${DEPLOY_BASE:-$root/target/deploy/bookworm.tar}
    if [ ! -s "$base" ]; then
        mkdir -p "$(dirname "$base")"
        # The format is not taken from this name.
        mmdebstrap --quiet --format=tar --variant=minbase --include=ca-certificates bookworm "$base.new"
        mv "$base.new" "$base"
    fi
    cp "$base" "$1"
}

# BINARY: emulated providers on 127.0.0.1:3999; prints the settings that lead there.
emulate() {
    "$1" emulate >"$work/emulator.log" 2>&1 &
    echo $! >"$work/emulator.pid"
    within 20 grep -q 'API key' "$work/emulator.log" || fail "the emulator did not start: $(cat "$work/emulator.log")"
    grep -o 'TRUNKLINE_[A-Z_]*=.*' "$work/emulator.log"
    printf '%s_API_KEY=emulated\n' DEEPGRAM OPENAI
    # There is no route out of here to find an address by.
    printf 'TRUNKLINE_SIP__ADVERTISED_ADDRESS=127.0.0.1\n'
}

# KEY METHOD PATH [BODY]: asks the API of the server.
api() {
    curl -sS --fail-with-body -m 10 -X "$2" -H "Authorization: Bearer $1" -H 'Content-Type: application/json' \
        "http://127.0.0.1:3008/v1$3" ${4:+-d "$4"}
}

# KEY: an agent with the local voice behind a trunk and a number.
provision() {
    local agent trunk
    agent=$(api "$1" POST /agents '{"name":"Support","first_message":"Good morning, this is Acme.","system_prompt":"Be brief.",
        "stt_config":{"provider":"deepgram","model":"nova-3-general","language":"en"},
        "llm_config":{"provider":"openai","model":"gpt-4o-mini"},
        "tts_config":{"provider":"local","voice_id":"en-us","language":"en"}}' | jq -er .agent.id)
    trunk=$(api "$1" POST /trunks '{"name":"Carrier","allowed_addresses":["127.0.0.1"]}' | jq -er .trunk.id)
    api "$1" POST /phone-numbers "{\"number\":\"$number\",\"agent_id\":\"$agent\",\"trunk_id\":\"$trunk\"}" >/dev/null
}

# KEY COUNT: the last COUNT calls came to their end, and both sides were heard.
calls_completed() {
    local call
    for call in $(api "$1" GET "/calls?limit=$2" | jq -er '.calls[].id'); do
        api "$1" GET "/calls/$call" | jq -e '.call | .status == "completed" and
            ([.transcript[].role] | contains(["user"]) and contains(["assistant"]))' >/dev/null ||
            fail "call $call: $(api "$1" GET "/calls/$call" | jq -c '.call | [.status, .end_reason, .transcript]')"
    done
}

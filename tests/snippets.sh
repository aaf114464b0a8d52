#!/usr/bin/env bash
# Runs what Markdown files tell a reader to type: tests/snippets.sh TRUNKLINE FILE.md...
#
# A fenced block says by its first line where it is typed:
#
#   ```sh                                   in the document's shell; the blocks of a file share one shell, in their order
#   ```sh first terminal until "some words" in a terminal of its own, where it goes on; the next block waits for the words.
#                                           The next block of the same terminal presses Ctrl-C first.
#   ```console                              not at all: commands with a prompt that build, install or take minutes
#   ```json                                 right below a block: what that block prints last; keys and types are
#                                           compared. A key "…" stands for more keys. Elsewhere it only has to be JSON.
#
# A block fails with its first command that fails, with an answer of 400 or more (curl), with a null or false where a
# value is asked for (jq), or after SNIPPET_SECONDS (120).
#
# Files other than README.md begin where a reader of the README is once `api` is defined: beside the demo. (The demo is
# left out where no block uses the server.)
# The folder is a stand-in for a clone: `make` finds its Makefile, and `cargo` finds everything built.
# The default ports are free: the script has a network of its own where the system allows that, else it waits for its turn.
set -euo pipefail
shopt -s nullglob
[ $# -ge 2 ] || { echo "usage: $0 TRUNKLINE FILE.md..." >&2; exit 2; }
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# 1. Ports and processes of our own.
PATH=$PATH:/usr/sbin:/sbin
if [ -z "${SNIPPETS_INSIDE:-}" ]; then
    export SNIPPETS_INSIDE=1
    space=(unshare --map-root-user --net --pid --fork --kill-child --mount-proc)
    if "${space[@]}" ip link set lo up 2>/dev/null; then
        exec "${space[@]}" bash -c 'ip link set lo up && exec bash "$@"' - "${BASH_SOURCE[0]}" "$@"
    fi
    exec 8>"${TMPDIR:-/tmp}/trunkline-snippets.lock"
    flock 8
fi

binary=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
shift
seconds=${SNIPPET_SECONDS:-120}
work=$(mktemp -d)
declare -A terminals=() # their process groups, by name

leave() {
    for group in "${terminals[@]}"; do
        kill -KILL -- "-$group" 2>/dev/null || true
    done
    rm -rf "$work"
}
trap leave EXIT

# 2. A stand-in for a clone.
clone=$work/clone
mkdir -p "$clone/target/demo" "$clone/target/release" "$work/bin" "$work/home"
for entry in "$root"/* "$root/.ci"; do
    case ${entry##*/} in
        target | data | *.log | *.wav) ;;
        *) ln -s "$entry" "$clone/" ;;
    esac
done
ln -s "$binary" "$clone/target/demo/trunkline"
ln -s "$binary" "$clone/target/release/trunkline"
cat >"$work/bin/cargo" <<END
#!/usr/bin/env bash
# Stands in for cargo: everything is built.
case "\$1 \$2" in
    "build "*) exit 0 ;;
    "run --example") name=\$3; shift 3; [ "\${1:-}" != -- ] || shift; exec "$(dirname "$binary")/examples/\$name" "\$@" ;;
esac
echo "cargo \$*: not in a snippet" >&2
exit 1
END
chmod +x "$work/bin/cargo"

# What each shell begins with. A reader sees a refusal or a null; the shell has to be told.
cat >"$work/shell" <<'END'
set -eo pipefail
curl() { command curl --fail-with-body "$@"; }
jq() { command jq -e "$@"; }
END

# COMMAND NAME: a shell in a process group of its own, as a terminal has it.
shell() {
    set -m
    # Nothing is fetched for the demo: its agent hears with the emulated STT.
    env -i PATH="$work/bin:$PATH" HOME="$work/home" LANG=C.UTF-8 TERM=dumb DEMO_FLAGS=--emulated \
        bash -c "cd '$clone' && . '$work/shell' && $1" </dev/null 8>&- 9>&- &
    terminals[$2]=$!
    disown # nobody wants to read that it was killed
    set +m
}

# FILE: writes its blocks to $work/blocks/LINE and lists them as "LINE LAST INFO".
blocks() {
    rm -rf "$work/blocks"
    mkdir "$work/blocks"
    awk -v folder="$work/blocks" '
        !inside && match($0, /^ *```/) {
            inside = 1; start = NR; margin = RLENGTH - 3; info = substr($0, RLENGTH + 1); printf "" >(folder "/" start); next
        }
        inside && /^ *``` *$/ { inside = 0; print start, NR, info; close(folder "/" start); next }
        inside { print substr($0, margin + 1) >(folder "/" start) }
        END { if (inside) { print FILENAME ":" start ": a block without an end" >"/dev/stderr"; exit 1 } }
    ' "$1"
}

# PLACE BLOCK WHY: the end of it all.
fail() {
    {
        echo "$1: $3"
        echo "--- the block"
        cat "$2"
        for stream in out err; do
            [ ! -s "$2.$stream" ] || { echo "--- its $stream"; tail -n 60 "$2.$stream"; }
        done
        for log in "$clone"/*.log; do
            echo "--- ${log##*/}"
            tail -n 20 "$log"
        done
    } >&2
    exit 1
}

# SECONDS COMMAND...: repeats the command until it succeeds.
within() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.1
    done
}

# PLACE BLOCK: in the document's shell.
run() {
    gone "${terminals[second]}" && fail "$1" "$2" "an earlier block ended the shell"
    # What goes to /dev/stderr goes to a pipe, as to a terminal: a file would begin anew whenever it is opened.
    echo "set +e; trap 'echo \$? >$2.status' EXIT; set -e; . $2 >$2.out 2> >(cat >$2.err); echo \$? >$2.status" >&9
    within "$seconds" test -s "$2.status" || fail "$1" "$2" "the block did not end in $seconds seconds"
    sleep 0.1 # for the last line in the pipe
    [ "$(cat "$2.status")" = 0 ] || fail "$1" "$2" "the block failed with status $(cat "$2.status")"
}

# Ctrl-C.
interrupt() {
    local group=${terminals[$1]:-}
    [ -n "$group" ] || return 0
    kill -INT -- "-$group" 2>/dev/null || true
    within 40 gone "$group" || true # a server waits for its calls
    end "$1"
}
end() {
    kill -KILL -- "-${terminals[$1]}" 2>/dev/null || true
    within 5 gone "${terminals[$1]}" || true
    unset "terminals[$1]"
}
gone() { ! kill -0 -- "-$1" 2>/dev/null; }

# PLACE BLOCK NAME WORDS: in a terminal of its own, until it has printed the words.
serve() {
    interrupt "$3"
    # As a shell at a keyboard does, it outlives the Ctrl-C that ends its commands.
    shell "trap : INT; { . '$2'; } >'$2.out' 2> >(cat >'$2.err')" "$3"
    local group=${terminals[$3]}
    said() { grep -qF -- "$1" "$2.out" "$2.err" 2>/dev/null || ! kill -0 "$group" 2>/dev/null; }
    within "$seconds" said "$4" "$2" || fail "$1" "$2" "it did not say \"$4\" in $seconds seconds"
    grep -qF -- "$4" "$2.out" "$2.err" || fail "$1" "$2" "it ended and did not say \"$4\""
}

# Keys and types of a document's values, against what came.
cat >"$work/shape.jq" <<'END'
def differences($shown; $at):
  if type != ($shown | type) then "\($at): the document shows \($shown | type), the answer is \(type)"
  elif type == "object" then
    . as $real
    | (($shown | keys) - ($real | keys) - ["…"] | .[] | "\($at).\(.): not in the answer"),
      (if $shown | has("…") then empty else ($real | keys) - ($shown | keys) | .[] | "\($at).\(.): not in the document" end),
      (($shown | keys)[] as $key | select($real | has($key)) | $real[$key] | differences($shown[$key]; "\($at).\($key)"))
  elif type == "array" and ($shown | length) > 0 then
    to_entries[] as {key: $index, value: $item}
    | [$shown[] | . as $one | [$item | differences($one; "\($at)[\($index)]")]]
    | min_by(length)[]
  else empty end;
($real | length) as $count | ($shown | length) as $last
| if $count < $last then "the document shows \($last) value(s), the block printed \($count)"
  else range($last) as $index | $real[$count - $last + $index] | differences($shown[$index]; "value \($index + 1)") end
END

# PLACE BLOCK SHOWN: the answer of a block against the JSON below it.
compare() {
    local found
    found=$(jq -rn --slurpfile real "$2.out" --slurpfile shown "$3" -f "$work/shape.jq" 2>&1) ||
        fail "$1" "$2" "the answer cannot be compared: $found"
    [ -z "$found" ] || fail "$1" "$2" "the answer has another shape: $found"
}

# FILE STOP: the blocks of a file, up to and with the one that contains STOP.
document() {
    local name=${1#"$root/"} list line last info block place before="" end=0 ran=0 shown=0 skipped=""
    local until='^(sh|bash) ([a-z]+) terminal until "(.*)"$'
    list=$(blocks "$1")
    while read -r line last info; do
        block=$work/blocks/$line
        place=$name:$line
        case $info in
            sh | bash) run "$place" "$block"; ran=$((ran + 1)) ;;
            json)
                jq empty "$block" 2>"$block.err" || fail "$place" "$block" "this is not JSON"
                if [ -n "$before" ] && ! sed -n "$((end + 1)),$((line - 1))p" "$1" | grep -q '[^[:space:]]'; then
                    compare "$place" "$before" "$block"
                    shown=$((shown + 1))
                fi ;;
            console) skipped+=" $line" ;;
            sh\ * | bash\ *)
                [[ $info =~ $until ]] || fail "$place" "$block" "what is \"$info\"?"
                serve "$place" "$block" "${BASH_REMATCH[2]}" "${BASH_REMATCH[3]}"
                ran=$((ran + 1)) ;;
            shell* | zsh* | console*) fail "$place" "$block" "shell blocks begin with sh or console" ;;
        esac
        case $info in sh | bash) before=$block end=$last ;; *) before="" ;; esac
        if [ -n "${2:-}" ] && grep -qF -- "$2" "$block"; then return; fi
    done <<<"$list"
    [ -n "${2:-}" ] || echo "$name: $ran block(s) ran, $shown answer(s) compared${skipped:+, not run: line$skipped}"
}

# 3. Document by document.
for file in "$@"; do
    file=$(realpath "$file")
    rm -rf "$clone/data" "$clone"/*.log "$work/commands"
    mkfifo "$work/commands"
    shell "while read -r command <&9; do eval \"\$command\"; done 9<'$work/commands'" second
    exec 9>"$work/commands"
    blocks "$file" >/dev/null
    if [ "$file" != "$root/README.md" ] && grep -qE '(^|[ (])api |\$KEY|target/(demo|release)/|cargo ' "$work"/blocks/*; then
        document "$root/README.md" 'api() {'
        rm -rf "$work/blocks.readme" && mv "$work/blocks" "$work/blocks.readme" # a terminal still writes there
    fi
    document "$file"
    exec 9>&-
    for terminal in "${!terminals[@]}"; do end "$terminal"; done
done

"""Calls whose callers are recorded people: how many words the local STT gets wrong, and how long callers wait, by source, noise and codec.

    python3 recordings.py FOLDER
    TRUNKLINE_API_KEY=… python3 calls.py FOLDER/list.tsv --program target/release/trunkline --url http://127.0.0.1:3008 --sip 127.0.0.1:5060

Makes an agent with the local STT, a local voice and a flow that answers everything in two words, and a number for it; both are deleted at
the end. The server's `[sip] advertised_address` has to be loopback. With `--log FILE` every call's words are written down.
"""

import argparse
import itertools
import json
import os
import random
import subprocess
import sys
import urllib.request
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from words import HEAD, line  # noqa: E402

AGENT = {
    "name": "Local speech bench", "first_message": "Go on.", "max_duration_seconds": 1800, "autonomous_silence_handling": False,
    "stt_config": {"provider": "local", "model": "moonshine-tiny-en", "language": "en"},
    "llm_config": {"provider": "local", "flow": {"start": "any", "states": {
        "any": {"type": "menu", "question": "Go on.", "reask": "I see.", "tries": 10, "exhausted": "any_again",
                "choices": [{"intent": "never", "next": "end"}]},
        "any_again": {"type": "say", "text": "Thank you.", "next": "any"}, "end": {"type": "end", "text": "Goodbye."}},
        "intents": [{"name": "never", "phrases": ["xylophones bequeath quarterly marzipan"]}]}},
}


class Server:
    """The API, as a program uses it."""

    def __init__(self, url, key):
        self.url, self.key = url.rstrip("/") + "/v1", key

    def ask(self, method, path, body=None):
        """The answer's document."""
        request = urllib.request.Request(
            self.url + path, method=method, data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or b"null")

    def call_from(self, number):
        """The newest call of this caller."""
        calls = self.ask("GET", "/calls?limit=50")["calls"]
        call = next(call for call in calls if call["from_number"] == number)
        return self.ask("GET", f"/calls/{call['id']}")["call"]


def read(path):
    """Recordings by source and noise."""
    groups = defaultdict(list)
    for line in path.read_text().splitlines():
        source, noise, wav, text = line.split("\t")
        groups[source, noise].append((wav, text))
    return groups


def parts(rows, size):
    """Rows for one call each."""
    return [rows[at:at + size] for at in range(0, len(rows), size)]


def one_call(options, server, number, caller, codec, rows):
    """What was said, what was heard, how long the caller waited after each recording."""
    script = "listen; " + "".join(f"say {wav}; listen; " for wav, _ in rows) + "hangup"
    command = [options.program, "call", f"sip:{number}@{options.sip}", "--script", script, "--codecs", codec, "--from", caller,
               "--rtp-ports", options.rtp_ports]
    done = subprocess.run(command, capture_output=True, text=True, cwd="/", check=False)
    if not done.stdout.strip():
        raise SystemExit(f"{' '.join(command)}: {done.stderr}")
    report = json.loads(done.stdout)
    call = server.call_from(caller)
    heard = [turn["content"] for turn in call["transcript"] if turn["role"] == "user"]
    said = [text for _, text in rows]
    if options.log:
        with open(options.log, "a", encoding="utf-8") as log:
            print(json.dumps({"codec": codec, "said": said, "heard": heard, "responses_ms": report["responses_ms"],
                              "failure": report["failure"], "errors": (call["metrics"] or {}).get("provider_errors")}), file=log)
    return said, heard, report["responses_ms"], report["failure"]


def measure(options, server, number):
    """All groups through all codecs, one line each."""
    print(HEAD)
    # Calls are found by their caller, so two runs have different ones.
    callers = itertools.count(15550000000 + random.randrange(9_000) * 1_000)
    for (source, noise), rows in read(options.list).items():
        for codec in options.codecs.split(","):
            calls = parts(rows[:options.rows], options.per_call)
            with ThreadPoolExecutor(options.at_once) as pool:
                made = list(pool.map(lambda part: one_call(options, server, number, f"+{next(callers)}", codec, part), calls))
            print(line(source, noise, codec, [one[:3] for one in made]), *(f"  failed: {one[3]}" for one in made if one[3]), flush=True)


def main():
    """Makes what the calls need, and takes it away again."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("list", type=Path)
    parser.add_argument("--program", default="target/release/trunkline", type=lambda path: str(Path(path).resolve()))
    parser.add_argument("--url", default="http://127.0.0.1:3008")
    parser.add_argument("--sip", default="127.0.0.1:5060")
    parser.add_argument("--rtp-ports", default="50000-53999")
    parser.add_argument("--number", default="+31209990001")
    parser.add_argument("--voice", default="piper:joe")
    parser.add_argument("--codecs", default="PCMU,PCMA")
    parser.add_argument("--turn-config", default="{}", type=json.loads, help="the agent's turn_config, as JSON")
    parser.add_argument("--rows", type=int, default=1000, help="recordings of each source and noise at most")
    parser.add_argument("--per-call", type=int, default=6, help="recordings in one call")
    parser.add_argument("--at-once", type=int, default=1, help="calls at once")
    parser.add_argument("--log", help="a file for what was said and heard")
    options = parser.parse_args()
    server = Server(options.url, os.environ["TRUNKLINE_API_KEY"])
    agent = dict(AGENT, tts_config={"provider": "local", "voice_id": options.voice, "language": "en"}, turn_config=options.turn_config)
    agent = server.ask("POST", "/agents", agent)["agent"]["id"]
    trunk = server.ask("POST", "/trunks", {"name": "Local speech bench", "host": "127.0.0.1", "allowed_addresses": ["127.0.0.1"]})
    number = server.ask("POST", "/phone-numbers", {"number": options.number, "agent_id": agent, "trunk_id": trunk["trunk"]["id"]})
    try:
        measure(options, server, options.number)
    finally:
        server.ask("DELETE", f"/phone-numbers/{number['phone_number']['id']}")
        server.ask("DELETE", f"/trunks/{trunk['trunk']['id']}")
        server.ask("DELETE", f"/agents/{agent}")


if __name__ == "__main__":
    main()

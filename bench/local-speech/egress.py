"""Whether calls that hear and speak on this machine disturb the packets of other calls: both kinds on one server, with and without the first.

    TRUNKLINE_API_KEY=… python3 egress.py FOLDER/list.tsv --program target/release/trunkline --url … --sip …

The other calls are served by the emulated providers (`trunkline emulate`; the server's settings have to lead there). Rounds with and without
local calls alternate. Packet gaps are those that the callers see, lateness is that of the server, from its metrics.
"""

import argparse
import itertools
import json
import os
import random
import re
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from calls import AGENT, Server, read  # noqa: E402

OTHERS = {
    "name": "Egress bench, others", "first_message": "Good morning, this is Acme, and this greeting takes a while to say, as greetings do.",
    "system_prompt": "You answer.", "stt_config": {"provider": "deepgram", "model": "nova-3-general", "language": "en"},
    "llm_config": {"provider": "openai", "model": "gpt-4o-mini"}, "tts_config": {"provider": "openai", "voice_id": "alloy", "language": "en"},
}
LATENESS = re.compile(r'trunkline_media_slot_lateness_seconds_bucket\{le="([^"]+)"\} (\d+)')


def lateness(url):
    """Frames sent so far, by how late they were at most (ms)."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:
        found = LATENESS.findall(answer.read().decode())
    return {float(le) * 1000: int(count) for le, count in found}


def share_at_most(before, after, share):
    """The bound in ms within which so large a share of the frames left."""
    counts = {le: after[le] - before.get(le, 0) for le in after}
    total = max(counts.values())
    return min((le for le, count in counts.items() if count >= share * total), default=float("inf")), total


def run(options, number, script, codec, caller, calls):
    """One process of callers; its report."""
    command = [options.program, "call", f"sip:{number}@{options.sip}", "--script", script, "--codecs", codec, "--from", caller,
               "--calls", str(calls), "--at-once", str(calls), "--rate", "20", "--rtp-ports", options.rtp_ports]
    done = subprocess.run(command, capture_output=True, text=True, cwd="/", check=False)
    return json.loads(done.stdout) if done.stdout.strip() else {"failed": calls, "error": done.stderr}


def local_calls(options, number, rows, stop, heard):
    """Five callers of the local agent, one after the other on each line, until it is over."""
    callers = itertools.count(15560000000 + random.randrange(9_000) * 1_000)

    def line():
        while not stop.is_set():
            wavs = random.sample(rows, 3)
            script = "listen; " + "".join(f"say {wav}; listen; " for wav, _ in wavs) + "hangup"
            heard.append(run(options, number, script, "PCMU", f"+{next(callers)}", 1))

    lines = [threading.Thread(target=line) for _ in range(options.local)]
    for one in lines:
        one.start()
    return lines


def main():
    """Rounds in turn, a line each."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("list", type=Path)
    parser.add_argument("--program", default="target/release/trunkline", type=lambda path: str(Path(path).resolve()))
    parser.add_argument("--url", default="http://127.0.0.1:3008")
    parser.add_argument("--sip", default="127.0.0.1:5060")
    parser.add_argument("--rtp-ports", default="50000-53999")
    parser.add_argument("--others", type=int, default=20, help="other calls at once")
    parser.add_argument("--local", type=int, default=5, help="local calls at once")
    parser.add_argument("--rounds", type=int, default=4, help="half of them with local calls")
    options = parser.parse_args()
    server = Server(options.url, os.environ["TRUNKLINE_API_KEY"])
    made = []

    def make(path, kind, body):
        made.append(f"{path}/{server.ask('POST', path, body)[kind]['id']}")
        return made[-1].rsplit("/", 1)[1]

    numbers = {"local": "+31209990011", "others": "+31209990012"}
    try:
        trunk = make("/trunks", "trunk", {"name": "Egress bench", "host": "127.0.0.1", "allowed_addresses": ["127.0.0.1"]})
        # The flow's answer has the caller's words in it, so every sentence is made anew.
        local = dict(AGENT, name="Egress bench, local", tts_config={"provider": "local", "voice_id": "piper:joe", "language": "en"},
                     first_message="Good day, {{caller_number}}, what would you like to tell me? Take your time, please, and speak freely.")
        local["llm_config"] = OTHERS["llm_config"]
        local["system_prompt"] = "You answer."
        for name, agent in (("local", local), ("others", OTHERS)):
            agent = make("/agents", "agent", agent)
            make("/phone-numbers", "phone_number", {"number": numbers[name], "agent_id": agent, "trunk_id": trunk})
        rows = read(options.list)["allison", "clean"]
        print(f"{'local calls':12} {'gap p50':>8} {'p99':>7} {'p99.9':>7} {'max':>7}  {'late p99':>8} {'p99.9':>6} {'frames':>7}  local waits p50, max (count)")
        for at in range(options.rounds):
            with_local = at % 2 == 1
            stop, heard = threading.Event(), []
            lines = local_calls(options, numbers["local"], rows, stop, heard) if with_local else []
            time.sleep(3)
            before = lateness(options.url)
            report = run(options, numbers["others"], "listen; say opening_hours; listen; say hello; listen; say opening_hours; listen; hangup", "PCMU",
                         f"+{15570000000 + random.randrange(10_000_000)}", options.others)
            after = lateness(options.url)
            stop.set()
            for one in lines:
                one.join()
            gap = report.get("gap_ms") or {}
            (p99, frames), (p999, _) = share_at_most(before, after, .99), share_at_most(before, after, .999)
            waits = sorted(ms for one in heard for ms in one.get("responses_ms", []))
            told = f"{waits[len(waits) // 2]:.0f}, {waits[-1]:.0f} ({len(waits)})" if waits else "-"
            print(f"{options.local if with_local else 0:12} {gap.get('p50'):>8} {gap.get('p99'):>7} {gap.get('p99.9'):>7} {gap.get('max'):>7}  "
                  f"{p99:>8} {p999:>6} {frames:>7}  {told}" + (f"  failed {report['failed']}" if report["failed"] else ""), flush=True)
    finally:
        for path in reversed(made):
            server.ask("DELETE", path)


if __name__ == "__main__":
    main()

"""One call with each peer against a server on loopback, captured, and judged with tshark (`make captures`).

Arguments: peers (all), `--binary`, `--folder` (for captures and logs), `--port` (400 ports from there on are used). Needs the right to
capture on `lo`. Ends with 1 if a check fails; prints one line of figures for each peer.
"""

import argparse
import pathlib
import signal
import sys
import tempfile
import time

import checks
import peers

# encrypted: only headers can be read. clock_hz: of the audio. constant_length: false for Opus. sip: false without. loses: the peer sends
# no audio, or its first packets before we listen. unseen: packets that go to an address of the description, until the peer's audio shows the
# way, or over a browser's TCP connection until its ICE has chosen UDP. reduced_size: RTCP of a browser's session may be without a report.
# first_report_s: where the peer is reached at another address than it described, reports wait for its own first one, which tells their port.
EXPECTS = {
    "sipp": {"loses": True},
    "baresip": {"first_report_s": 13.0},
    "linphone": {"unseen": 10},
    "kamailio": {"loses": True},
    "jssip": {"encrypted": True, "clock_hz": 48_000, "constant_length": False, "reduced_size": True, "unseen": 50},
    "pjsip": {"encrypted": True},
    "aiortc": {"encrypted": True, "clock_hz": 48_000, "constant_length": False, "sip": False, "reduced_size": True},
}


def capture(lab, name):
    """Everything on `lo` that comes from or goes to the server; complete when the call is over."""
    file = lab.folder / f"{name}.pcap"
    first, last = lab.media_ports
    ports = [lab.api_port, lab.sip_port, lab.ws_port, lab.web_port, lab.proxy_port]
    filters = " or ".join([*(f"port {port}" for port in ports), f"portrange {first}-{last}"])
    tcpdump = lab.spawn(f"tcpdump-{name}", ["tcpdump", "-i", "lo", "-U", "-B", "16384", "-w", file, filters])
    peers.wait("tcpdump", lambda: file.exists() and "listening" in (lab.folder / f"tcpdump-{name}.log").read_text())
    try:
        peers.PEERS[name](lab)
        peers.wait("the end of the call", lab.is_idle)
        time.sleep(1)
    finally:
        lab.stop(tcpdump, signal.SIGINT)
    return file


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("peers", nargs="*", choices=[*peers.PEERS, []], help="default: all")
    arguments.add_argument("--binary", default=peers.ROOT / "target/release/trunkline")
    arguments.add_argument("--folder", type=pathlib.Path)
    arguments.add_argument("--port", type=int, default=23_000)
    arguments = arguments.parse_args()
    folder = arguments.folder or pathlib.Path(tempfile.mkdtemp(prefix="captures-"))
    folder.mkdir(parents=True, exist_ok=True)
    lab, failed = peers.Lab(arguments.binary, folder.resolve(), arguments.port), False
    try:
        lab.start()
        for name in arguments.peers or peers.PEERS:
            try:
                report = checks.check(capture(lab, name), lab, EXPECTS[name])
            except (AssertionError, RuntimeError, OSError) as error:
                print(f"{name}: {error}", flush=True)
                failed = True
                continue
            print(f"{name}: {'; '.join(f'{what} {value}' for what, value in report.figures.items())}", flush=True)
            for fault in report.faults[:20]:
                print(f"  {fault}", flush=True)
            if len(report.faults) > 20:
                print(f"  and {len(report.faults) - 20} more", flush=True)
            failed |= bool(report.faults)
    finally:
        lab.close()
    print(f"captures and logs: {folder}")
    sys.exit(failed)


if __name__ == "__main__":
    main()

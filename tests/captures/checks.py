"""What tshark finds in a capture of one call, judged packet by packet: our SIP, RTP and RTCP."""

import collections
import statistics
import subprocess

FIELDS = ["frame.number", "frame.time_epoch", "udp.srcport", "tcp.srcport", "udp.dstport", "rtp.ssrc", "rtp.seq", "rtp.timestamp", "rtp.marker",
          "rtp.p_type", "udp.length", "rtcp.pt", "rtcp.senderssrc", "rtcp.timestamp.rtp", "rtcp.sender.packetcount", "rtcp.sender.octetcount",
          "rtcp.sdes.type", "rtcp.sdes.text", "rtcp.ssrc.fraction", "sip.Status-Code", "sip.Method", "sip.CSeq.method", "sip.to.tag", "sip.Contact",
          "sip.Via", "sip.Allow", "sip.Call-ID", "_ws.expert.severity", "_ws.expert.message", "_ws.col.Protocol", "rtp.payload"]
# Expert information of tshark: warnings and errors (0x600000, 0x800000).
WARNING = 0x600000
# Opus has 48 kHz whatever it carries; everything else that we send has 8 kHz.
PTIME_MS = 20
# RFC 3550 section 6.3.1: half of five seconds to one and a half of them.
REPORT_MAX_S = 7.5 + 0.5
# The machine may be busy; what is late is caught up.
LATE_MS = 200
# What peers offer for events, and what we do.
EVENT_PAYLOADS = {101, 102, 110, 126}


class Packet:
    def __init__(self, line):
        self.fields = dict(zip(FIELDS, line.split("\t")))

    def text(self, name):
        return self.fields.get(name, "")

    def list(self, name):
        return [value for value in self.text(name).split("|") if value]

    def number(self, name):
        return int(self.list(name)[0], 0)


def read(capture, lab):
    command = ["tshark", "-r", str(capture), "-n", "-d", f"udp.port=={lab.sip_port},sip", "-d", f"tcp.port=={lab.ws_port},http",
               "-d", f"udp.port=={lab.proxy_port},sip", "-o", "rtp.version0_type:STUN", "--enable-heuristic", "rtp_udp", "-T", "fields", "-E", "separator=/t", "-E", "aggregator=|"]
    for field in FIELDS:
        command += ["-e", field]
    run = subprocess.run(command, capture_output=True, text=True, errors="replace", check=True)
    return [Packet(line) for line in run.stdout.splitlines()]


class Report:
    """Faults, and figures for the table."""

    def __init__(self):
        self.faults, self.figures = [], {}

    def require(self, holds, fault):
        if not holds:
            self.faults.append(fault)


def check(capture, lab, expects):
    """`expects`: how the call with this peer differs (`EXPECTS` in run.py)."""
    packets, report = read(capture, lab), Report()
    media = set(range(lab.media_ports[0], lab.media_ports[1] + 1)) | {lab.web_port}
    ours = [one for one in packets if one.text("udp.srcport") and int(one.list("udp.srcport")[0]) in media | {lab.sip_port}]
    ours += [one for one in packets if one.text("tcp.srcport") and int(one.list("tcp.srcport")[0]) == lab.ws_port]
    check_expert(report, ours, expects)
    if expects.get("sip", True):
        check_sip(report, [one for one in ours if one.list("sip.CSeq.method")])
    streams = collections.defaultdict(list)
    for one in ours:
        if one.text("rtp.ssrc") and one.text("rtp.seq"):
            streams[one.list("rtp.ssrc")[0]].append(one)
    report.require(len(streams) == 1, f"{len(streams)} SSRCs in one stream: {', '.join(streams)}")
    for ssrc, stream in streams.items():
        check_rtp(report, stream, expects)
    check_rtcp(report, [one for one in ours if one.text("rtcp.pt")], streams, expects)
    return report


def check_expert(report, ours, expects):
    for one in ours:
        worst = max((int(value, 0) for value in one.list("_ws.expert.severity")), default=0)
        text = one.text("_ws.expert.message")
        # tshark has no keys, and takes what is encrypted for something else at times.
        is_unreadable = expects.get("encrypted") and one.text("_ws.col.Protocol") in ("SRTP", "SRTCP")
        if worst >= WARNING and not is_unreadable and "Encrypted RTCP Payload" not in text:
            report.require(False, f"frame {one.text('frame.number')} ({one.text('_ws.col.Protocol')}): {text}")


def check_sip(report, ours):
    tags = collections.defaultdict(set)
    responses = [one for one in ours if one.text("sip.Status-Code")]
    report.require(responses, "no SIP response of ours")
    for one in responses:
        status, method, where = one.number("sip.Status-Code"), one.list("sip.CSeq.method")[0], f"frame {one.text('frame.number')}"
        what = f"{where}: {status} to {method}"
        if status > 100:
            report.require(one.text("sip.to.tag"), f"{what} has no To tag")
            tags[one.text("sip.Call-ID")].add(one.text("sip.to.tag"))
        report.require(one.list("sip.Via"), f"{what} has no Via")
        if method == "INVITE" and 100 < status < 300:
            report.require(one.text("sip.Contact"), f"{what} has no Contact")
            report.require("INVITE" in one.text("sip.Allow") and "BYE" in one.text("sip.Allow"), f"{what} has no Allow")
    for call, seen in tags.items():
        report.require(len(seen) == 1, f"To tags of one call differ: {seen}")
    report.figures["responses"] = len(responses)


def check_rtp(report, stream, expects):
    audio = [one for one in stream if one.number("rtp.p_type") not in EVENT_PAYLOADS]
    step = 960 if expects.get("clock_hz", 8_000) == 48_000 else 160
    previous, gaps, markers, pauses = None, [], 0, 0
    for one in stream:
        where, is_marked = f"frame {one.text('frame.number')}", one.list("rtp.marker")[0] in ("1", "True")
        markers += is_marked
        if previous is None:
            report.require(is_marked or expects.get("unseen"), f"{where}: the first packet of the stream has no marker")
            previous = one
            continue
        before, after = previous.number("rtp.seq"), one.number("rtp.seq")
        report.require((after - before) % 2**16 == 1, f"{where}: sequence number goes from {before} to {after}")
        moved = (one.number("rtp.timestamp") - previous.number("rtp.timestamp")) % 2**32
        is_audio = not {one.number("rtp.p_type"), previous.number("rtp.p_type")} & EVENT_PAYLOADS
        if is_audio:
            report.require(0 < moved < 2**31, f"{where}: the timestamp falls")
            report.require(moved % step == 0, f"{where}: timestamp moves by {moved}, which is no multiple of {step}")
            pauses += moved > step
            # Speech after silence, or a packet after a pause in sending.
            may_be_marked = moved > step or expects.get("encrypted") or is_silent(previous)
            report.require(is_marked or moved == step, f"{where}: no marker after a pause of {moved / step * PTIME_MS:.0f} ms")
            report.require(may_be_marked or not is_marked, f"{where}: a marker within a talk spurt")
            # A pause is as long in time as in timestamps.
            took_ms = (float(one.text("frame.time_epoch")) - float(previous.text("frame.time_epoch"))) * 1000
            report.require(abs(took_ms - moved * PTIME_MS / step) < LATE_MS, f"{where}: {took_ms:.0f} ms for {moved / step * PTIME_MS:.0f} ms of timestamps")
            if moved == step:
                gaps.append(took_ms)
        previous = one
    report.require(len(audio) > 100, f"only {len(audio)} packets of audio")
    lengths = collections.Counter(one.text("udp.length") for one in audio)
    if expects.get("constant_length", True):
        report.require(len(lengths) == 1, f"packets of several lengths: {dict(lengths)}")
    if gaps:
        mean = statistics.mean(gaps)
        report.require(abs(mean - PTIME_MS) < 0.5, f"{mean:.2f} ms between packets")
        report.figures["packet time"] = f"{mean:.2f} ms (p99 {sorted(gaps)[len(gaps) * 99 // 100]:.1f})"
    report.figures["packets"], report.figures["pauses"], report.figures["markers"] = len(stream), pauses, markers


def is_silent(packet):
    """A packet of G.711 with nothing but zero."""
    return set(bytes.fromhex(packet.text("rtp.payload").replace(":", ""))) <= {0xFF, 0x7F, 0xD5, 0x55}


def check_rtcp(report, ours, streams, expects):
    report.require(ours, "no RTCP")
    audio = [one for stream in streams.values() for one in stream]
    begins = [float(one.text("frame.time_epoch")) for one in audio]
    kinds, times, before = collections.Counter(), [], 0
    for one in ours:
        where, types = f"frame {one.text('frame.number')}", [int(value) for value in one.list("rtcp.pt")]
        at = float(one.text("frame.time_epoch"))
        kinds.update(types)
        # str0m's goodbye and its feedback on the arrival of packets need no report in front (RFC 5506).
        report.require(types[0] in (200, 201) or expects.get("reduced_size"), f"{where}: a compound packet begins with {types[0]}")
        if types[0] not in (200, 201):
            continue
        if expects.get("encrypted"):
            times.append(at)
            continue
        report.require(203 in types or 202 in types, f"{where}: no SDES")
        report.require("1" in one.list("rtcp.sdes.type") and one.text("rtcp.sdes.text"), f"{where}: no CNAME")
        report.require({value for value in one.list("rtcp.senderssrc")} <= {*streams}, f"{where}: SSRC {one.text('rtcp.senderssrc')} is not that of the stream")
        if 203 not in types:
            times.append(at)
        if types[0] == 200:
            count = one.number("rtcp.sender.packetcount")
            seen = sum(begin <= at for begin in begins)
            report.require(before <= count, f"{where}: packet count falls from {before} to {count}")
            report.require(abs(count - seen) <= 2 + expects.get("unseen", 0), f"{where}: {count} packets reported, {seen} captured")
            before = count
        report.require(all(int(value) == 0 for value in one.list("rtcp.ssrc.fraction")) or expects.get("loses"), f"{where}: loss {one.text('rtcp.ssrc.fraction')} on loopback")
    gaps = [after - earlier for earlier, after in zip(times, times[1:])]
    report.require(all(gap <= REPORT_MAX_S for gap in gaps), f"{max(gaps, default=0):.1f} s between reports")
    if times and begins:
        report.require(times[0] - begins[0] <= expects.get("first_report_s", REPORT_MAX_S), f"the first report came after {times[0] - begins[0]:.1f} s")
    names = {200: "SR", 201: "RR", 203: "BYE"}
    report.figures["reports"] = ", ".join(f"{count} {names[kind]}" for kind, count in sorted(kinds.items()) if kind in names)
    report.figures["between reports"] = ", ".join(f"{gap:.1f}" for gap in gaps)

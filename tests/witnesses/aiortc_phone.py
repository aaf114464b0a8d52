"""aiortc calls an agent over WHIP: DTLS in the role that is asked for, Opus both ways, an ICE restart, the end.

Arguments: the WHIP address, its token, the DTLS role of the offer (`actpass`, `active` or `passive`). Prints what it has done, one word a
line; a failure ends it with a sentence.
"""

import array
import asyncio
import fractions
import pathlib
import sys
import time
import urllib.parse
import urllib.request
import wave

import aioice
import av
from aiortc import AudioStreamTrack, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

DEADLINE_S = 20
RATE_HZ, FRAME = 8_000, 160
PHRASE = pathlib.Path(__file__).resolve().parents[2] / "fixtures/audio/opening_hours.wav"


async def until(what, holds, deadline_s=DEADLINE_S):
    end = time.monotonic() + deadline_s
    while not holds():
        if time.monotonic() > end:
            sys.exit(f"waited in vain for {what}")
        await asyncio.sleep(0.02)


class Microphone(AudioStreamTrack):
    """Silence, and a phrase whenever it is told to speak."""

    def __init__(self):
        super().__init__()
        self.words, self.sent, self.start = b"", 0, None

    def speak(self):
        with wave.open(str(PHRASE)) as phrase:
            self.words = phrase.readframes(phrase.getnframes())

    async def recv(self):
        self.start = self.start or time.monotonic()
        await asyncio.sleep(max(0, self.start + self.sent * FRAME / RATE_HZ - time.monotonic()))
        part, self.words = self.words[: FRAME * 2], self.words[FRAME * 2 :]
        frame = av.AudioFrame(format="s16", layout="mono", samples=FRAME)
        frame.planes[0].update(part.ljust(FRAME * 2, b"\0"))
        frame.pts, frame.sample_rate, frame.time_base = self.sent * FRAME, RATE_HZ, fractions.Fraction(1, RATE_HZ)
        self.sent += 1
        return frame


class Path:
    """The ICE connection below a DTLS transport, which can be another one from a restart on."""

    def __init__(self, transport):
        self.received, self.current, self.pumps, self.count = asyncio.Queue(), transport._connection, [], 0
        transport._recv, transport._send = self.received.get, self.send

    async def send(self, data):
        await self.current.send(data)

    def pump(self):
        async def forward(connection):
            try:
                while True:
                    self.received.put_nowait(await connection.recv())
                    self.count += connection is self.current
            except ConnectionError:
                pass

        self.pumps.append(asyncio.create_task(forward(self.current)))

    def restart(self, connection):
        # The one before is left to lose its consent (RFC 7675): what it still receives counts, and nothing is sent over it.
        self.current, self.count = connection, 0
        self.pump()


def http(method, address, token, body, **headers):
    request = urllib.request.Request(address, method=method, data=body and body.encode())
    for name, value in {"Authorization": f"Bearer {token}", **headers}.items():
        request.add_header(name.replace("_", "-"), value)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read().decode(), answer.headers


def attribute(text, name):
    return next(line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith(f"a={name}:"))


async def restart_ice(path, location, token, answer):
    connection = aioice.Connection(ice_controlling=True, use_ipv6=False)
    connection.remote_is_lite = True
    await connection.gather_candidates()
    fragment = f"a=ice-ufrag:{connection.local_username}\r\na=ice-pwd:{connection.local_password}\r\n"
    headers = {"Content_Type": "application/trickle-ice-sdpfrag", "If_Match": "*"}
    text, _ = await asyncio.to_thread(http, "PATCH", location, token, fragment, **headers)
    connection.remote_username, connection.remote_password = attribute(text, "ice-ufrag"), attribute(text, "ice-pwd")
    if connection.remote_username == attribute(answer, "ice-ufrag"):
        sys.exit("the restart kept the user name of ICE")
    for line in answer.splitlines():
        if line.startswith("a=candidate:"):
            candidate = aioice.Candidate.from_sdp(line.split(":", 1)[1])
            if candidate.transport.lower() == "udp":
                await connection.add_remote_candidate(candidate)
    await connection.add_remote_candidate(None)
    await connection.connect()
    path.restart(connection)


async def main(address, token, role):
    peer, microphone, loud = RTCPeerConnection(), Microphone(), [0]
    peer.addTrack(microphone)

    @peer.on("track")
    def on_track(track):
        async def listen():
            try:
                while True:
                    frame = await track.recv()
                    samples = array.array("h", bytes(frame.planes[0])[: frame.samples * 2])
                    # Louder than -40 dBFS.
                    loud[0] += sum(one * one for one in samples) > 330 * 330 * len(samples)
            except MediaStreamError:
                pass

        peer.listener = asyncio.create_task(listen())

    await peer.setLocalDescription(await peer.createOffer())
    offer = peer.localDescription.sdp.replace("a=setup:actpass", f"a=setup:{role}")
    answer, headers = await asyncio.to_thread(http, "POST", address, token, offer, Content_Type="application/sdp")
    location = urllib.parse.urljoin(address, headers["Location"])
    print(f"setup:{attribute(answer, 'setup')}")
    dtls = peer.getSenders()[0].transport
    path = Path(dtls.transport)
    await peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    await until("ICE", lambda: dtls.transport.state == "completed")
    path.pump()
    await until("the connection", lambda: peer.connectionState == "connected")
    print("connected")
    await until("the agent's greeting", lambda: loud[0] > 50)
    print("greeting")
    await asyncio.sleep(4)
    before = loud[0]
    microphone.speak()
    await until("the agent's answer", lambda: loud[0] > before + 50)
    print("answer")
    await restart_ice(path, location, token, answer)
    await asyncio.sleep(5)
    before = loud[0]
    microphone.speak()
    await until("the answer after the restart", lambda: loud[0] > before + 50)
    if path.count < 50:
        sys.exit(f"only {path.count} packets came over the new path")
    print("restart")
    await asyncio.to_thread(http, "DELETE", location, token, None)
    print("bye", flush=True)
    await asyncio.wait_for(peer.close(), 5)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4]))

"""Peers that we did not write, each for one call: what is started, what it does, and when the call is over."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import time
import urllib.request
import wave

ROOT = pathlib.Path(__file__).resolve().parents[2]
NUMBER = "+31201234567"
PYTHON = ROOT / "target/venv/bin/python"
HOST = "127.0.0.1"


class Lab:
    """A server with emulated providers, with an agent, a trunk and a number."""

    def __init__(self, binary, folder, first_port):
        self.binary, self.folder = pathlib.Path(binary).resolve(), folder
        self.api_port, self.sip_port, self.ws_port = first_port, first_port + 60, first_port + 66
        self.web_port, self.emulator_port, self.proxy_port = first_port + 89, first_port + 99, first_port + 70
        self.media_ports = (first_port + 100, first_port + 199)
        self.peer_port = first_port + 300
        self.processes, self.key = [], ""

    def spawn(self, name, command, **options):
        log = open(self.folder / f"{name}.log", "ab")
        process = subprocess.Popen([str(part) for part in command], stdout=log, stderr=log, **{"stdin": subprocess.DEVNULL, **options})
        self.processes.append(process)
        return process

    def stop(self, process, how=signal.SIGTERM, patience_s=15):
        if process.poll() is None:
            process.send_signal(how)
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process in self.processes:
            self.processes.remove(process)

    def close(self):
        for process in list(reversed(self.processes)):
            self.stop(process)

    def start(self):
        emulator = self.spawn("emulator", [self.binary, "emulate", "--listen", f"{HOST}:{self.emulator_port}"])
        providers = wait("the emulator", lambda: self._emulated_providers(emulator))
        first, last = self.media_ports
        (self.folder / "config.toml").write_text(
            f'[api]\nlisten = "{HOST}:{self.api_port}"\nrate_limit_per_minute = 1000000\n'
            f'[sip]\nlisten = "{HOST}:{self.sip_port}"\n[sip.websocket]\nlisten = "{HOST}:{self.ws_port}"\n'
            f'[webrtc]\nlisten = "{HOST}:{self.web_port}"\n[media]\nport_first = {first}\nport_last = {last}\n'
            f'[calls]\ncalls_max = 20\n[database]\nurl = "sqlite://{self.folder}/trunkline.db"\n[recordings]\nfolder = "{self.folder}/recordings"\n'
            '[secrets]\nmaster_key = "a master key of the captures"\n')
        configured = [self.binary, "--config", self.folder / "config.toml"]
        made = subprocess.run([*map(str, configured), "bootstrap", "--organization", "Captures", "--email", "captures@example.com"],
                              capture_output=True, text=True, check=True).stdout
        self.key = next(line.split()[-1] for line in made.splitlines() if line.startswith("API key"))
        self.spawn("server", [*configured, "serve"], env={**os.environ, **providers})
        wait("the server", lambda: self.try_api("/agents"), 60)
        self.agent = self.api("POST", "/agents", {
            "name": "Captures", "first_message": "Good morning, this is Acme.", "system_prompt": "Be brief.",
            "stt_config": {"provider": "deepgram", "model": "nova-3-general", "language": "en"},
            "llm_config": {"provider": "openai", "model": "gpt-4o-mini"},
            "tts_config": {"provider": "elevenlabs", "voice_id": "v", "language": "en"}})["agent"]["id"]
        self.trunk = self.api("POST", "/trunks", {"name": "Loopback", "host": HOST, "port": self.peer_port,
                                                  "allowed_addresses": [HOST]})["trunk"]["id"]
        self.api("POST", "/phone-numbers", {"number": NUMBER, "agent_id": self.agent, "trunk_id": self.trunk})

    def _emulated_providers(self, emulator):
        """The environment that leads a server to the emulator, as the emulator prints it."""
        text = (self.folder / "emulator.log").read_text()
        assert emulator.poll() is None, text
        if "any API key works" not in text:
            return None
        urls = dict(line.split("=", 1) for line in text.split() if line.startswith("TRUNKLINE_PROVIDERS__"))
        return urls | {name.replace("BASE_URL", "API_KEY"): "emulated" for name in urls}

    def api(self, method, path, body=None):
        request = urllib.request.Request(f"http://{HOST}:{self.api_port}/v1{path}", method=method,
                                         data=json.dumps(body).encode() if body is not None else None,
                                         headers={"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def try_api(self, path):
        try:
            return self.api("GET", path)
        except OSError:
            return None

    def set_trunk(self, **fields):
        self.api("PATCH", f"/trunks/{self.trunk}", {"srtp": "off", "codecs": ["PCMU", "PCMA"], **fields})

    def is_idle(self):
        calls = self.api("GET", "/calls?limit=1")["calls"]
        return bool(calls) and bool(calls[0].get("end_reason") or self.api("GET", f"/calls/{calls[0]['id']}")["call"].get("end_reason"))


def wait(what, ask, patience_s=30):
    end = time.monotonic() + patience_s
    while True:
        answer = ask()
        if answer:
            return answer
        if time.monotonic() > end:
            raise RuntimeError(f"waited in vain for {what}")
        time.sleep(0.1)


def speech(path):
    """Three seconds of silence, a phrase, and silence, for a phone to play."""
    with wave.open(str(ROOT / "fixtures/audio/hello.wav")) as phrase:
        words = phrase.readframes(phrase.getnframes())
    with wave.open(str(path), "wb") as out:
        out.setparams((1, 2, 8000, 0, "NONE", ""))
        out.writeframes(bytes(3 * 16000) + words + bytes(30 * 16000))
    return path


def sipp(lab, port=None):
    """Holds, resumes and hangs up, with pauses in which reports are sent."""
    lab.set_trunk()
    command = ["sipp", f"{HOST}:{port or lab.sip_port}", "-sf", ROOT / "fixtures/sip/uac_hold_resume.xml", "-i", HOST, "-s", NUMBER,
               "-mp", lab.peer_port + 20, "-m", 1, "-timeout", "60s", "-timeout_error", "-nostdin"]
    process = lab.spawn("sipp", command, cwd=lab.folder)
    assert process.wait(90) == 0, "sipp: the call failed"


def baresip(lab):
    """Speaks, holds, resumes and hangs up, on command over TCP."""
    lab.set_trunk()
    folder = lab.folder / "baresip"
    folder.mkdir()
    modules = next(path for path in map(pathlib.Path, ["/usr/lib/baresip/modules", "/usr/lib/x86_64-linux-gnu/baresip/modules"]) if path.exists())
    control = lab.peer_port + 40
    lines = [f"module_path {modules}", "module aufile.so", "module g711.so", "module account.so", "module ctrl_tcp.so", "module_app menu.so",
             f"audio_source aufile,{speech(folder / 'speech.wav')}", f"ctrl_tcp_listen {HOST}:{control}", f"sip_listen {HOST}:0",
             "rtcp_mux no", "audio_srate 8000", "audio_channels 1", f"rtp_ports {lab.peer_port + 50}-{lab.peer_port + 59}"]
    (folder / "config").write_text("\n".join(lines) + "\n")
    (folder / "accounts").write_text(f"<sip:+15550100@{HOST};transport=udp>;regint=0;audio_codecs=PCMA\n")
    (folder / "contacts").write_text("")
    process = lab.spawn("baresip", ["baresip", "-f", folder, "-t", "60"])

    def connected():
        try:
            return socket.create_connection((HOST, control), 5)
        except OSError:
            return None

    with wait("baresip", connected) as line:
        def command(name, parameters=""):
            text = json.dumps({"command": name, "params": parameters})
            line.sendall(f"{len(text)}:{text},".encode())

        command("dial", f"sip:{NUMBER}@{HOST}:{lab.sip_port}")
        time.sleep(9)
        command("hold")
        time.sleep(4)
        command("resume")
        time.sleep(8)
        command("hangup")
        time.sleep(1)
    lab.stop(process)


def linphone(lab):
    """Speaks, holds, resumes and hangs up, on its console."""
    lab.set_trunk()
    folder = lab.folder / "linphone"
    for needed in [".local/share/linphone", ".config/linphone"]:
        (folder / needed).mkdir(parents=True)
    port = lab.peer_port + 80
    (folder / "linphonerc").write_text(
        f"[sip]\nsip_port={port}\nsip_tcp_port={port}\nsip_tls_port=-1\ndefault_proxy=-1\nmedia_encryption=none\nuse_ipv6=0\n"
        f"auto_net_state_mon=0\nregister_only_when_network_is_up=0\n[rtp]\naudio_rtp_port={port + 2}-{port + 9}\n[sound]\nechocancellation=0\n"
        "[net]\nmtu=1300\n[audio_codec_0]\nmime=PCMA\nrate=8000\nchannels=1\nenabled=1\n")
    process = lab.spawn("linphone", ["linphonec", "-c", folder / "linphonerc"], stdin=subprocess.PIPE, env={**os.environ, "HOME": str(folder)})

    def say(*commands):
        process.stdin.write("".join(f"{command}\n" for command in commands).encode())
        process.stdin.flush()

    say("soundcard use files", f"record {folder / 'heard.wav'}", f"play {speech(folder / 'speech.wav')}")
    say(f"call sip:{NUMBER}@{HOST}:{lab.sip_port}")
    time.sleep(9)
    say("pause")
    time.sleep(4)
    say("resume")
    time.sleep(8)
    say("terminate all")
    time.sleep(1)
    say("quit")
    lab.stop(process)


KAMAILIO = """#!KAMAILIO
debug=0
log_stderror=yes
children=1
listen=udp:%(host)s:%(port)d
mpath="%(modules)s"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "maxfwd.so"
loadmodule "siputils.so"
loadmodule "textops.so"
loadmodule "pv.so"
request_route {
    if (!mf_process_maxfwd_header("10")) { sl_send_reply("483", "Too Many Hops"); exit; }
    if (is_method("CANCEL")) { if (t_check_trans()) { t_relay(); } exit; }
    if (has_totag()) {
        if (loose_route()) { t_relay(); exit; }
        if (is_method("ACK")) { if (t_check_trans()) { t_relay(); } exit; }
        sl_send_reply("404", "Not Here"); exit;
    }
    t_check_trans();
    remove_hf("Route");
    record_route();
    if (uri==myself) { $du = "sip:%(host)s:%(server)d"; }
    t_relay();
}
"""


def kamailio(lab):
    """The same call as that of sipp, through a proxy with Record-Route."""
    folder = lab.folder / "kamailio"
    folder.mkdir()
    modules = next(path for path in map("/usr/lib/{}-linux-gnu/kamailio/modules/".format, ["x86_64", "aarch64"]) if os.path.exists(path))
    (folder / "kamailio.cfg").write_text(KAMAILIO % {"host": HOST, "port": lab.proxy_port, "modules": modules, "server": lab.sip_port})
    process = lab.spawn("kamailio", ["/usr/sbin/kamailio", "-DD", "-E", "-m", "32", "-M", "4", "-f", folder / "kamailio.cfg",
                                     "-Y", folder, "-P", folder / "pid"])
    time.sleep(2)
    sipp(lab, lab.proxy_port)
    lab.stop(process)


def jssip(lab):
    """Chromium with JsSIP over a WebSocket: speaks, holds, resumes and hangs up."""
    lab.set_trunk(srtp="mandatory", codecs=["OPUS", "PCMU", "PCMA"])
    environment = {**os.environ, "CONSOLE_URL": f"http://{HOST}:{lab.api_port}", "API_KEY": lab.key, "AGENT": lab.agent,
                   "SIP_URL": f"ws://{HOST}:{lab.ws_port}", "NUMBER": NUMBER, "ARTEFACTS": str(lab.folder)}
    process = lab.spawn("jssip", ["node", "--test", "sip.test.mjs"], cwd=ROOT / "tests/browser", env=environment)
    assert process.wait(180) == 0, "JsSIP: the call failed"


def pjsip(lab):
    """PJSIP: SRTP, hold, resume, UPDATE, keys, and the end."""
    lab.set_trunk(srtp="preferred")
    process = lab.spawn("pjsip", [PYTHON, ROOT / "tests/witnesses/pjsua2_phone.py", f"sip:{NUMBER}@{HOST}:{lab.sip_port}"])
    assert process.wait(90) == 0, "PJSIP: the call failed"


def aiortc(lab):
    """aiortc over WHIP: speaks, restarts ICE, speaks again and goes."""
    placed = lab.api("POST", "/calls/web", {"agent_id": lab.agent})
    process = lab.spawn("aiortc", [PYTHON, ROOT / "tests/witnesses/aiortc_phone.py", placed["whip_url"], placed["token"], "actpass"])
    assert process.wait(90) == 0, "aiortc: the call failed"


PEERS = {peer.__name__: peer for peer in [sipp, baresip, linphone, kamailio, jssip, pjsip, aiortc]}

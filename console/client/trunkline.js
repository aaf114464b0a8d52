// Trunkline in a web page: one call with an agent, without anything else to install.
//
//   import { Trunkline } from "https://voice.example.com/trunkline.js";
//   const call = await Trunkline.call({ agent, token });
//   call.addEventListener("transcript", (event) => console.log(event.detail.turns));
//
// `token` comes from your own server, which asks for it with POST /api/v1/calls/web. The page never sees an API key.

/** Interval of level events. */
const LEVEL_EVERY_MS = 60;
/** Time after which a lost connection triggers an ICE restart. */
const RESTART_AFTER_MS = 1500;
const LIVE = "urn:trunkline:whip:live";
const DIGITS = /^[0-9*#A-Da-d]+$/;

/** An error of the server or the browser; see `code`. */
export class TrunklineError extends Error {
  constructor(code, message, status) {
    super(message);
    this.name = "TrunklineError";
    this.code = code;
    this.status = status ?? null;
  }
}

export class Trunkline {
  /** Calls an agent. Resolves as soon as the server has answered; `state` tells when there is sound. */
  static async call(options) {
    const call = new Call(options);
    await call.start();
    return call;
  }
}

class Call extends EventTarget {
  #options;
  #server;
  #peer = null;
  #microphone = null;
  #ownMicrophone = false;
  #sender = null;
  #socket = null;
  #session = null;
  #answer = "";
  #restart = 0;
  #levels = null;
  #leave = () => this.hangUp();

  constructor(options) {
    super();
    if (!options?.agent || !options.token) {
      throw new TrunklineError("bad_options", "Trunkline.call needs { agent, token }");
    }
    this.#options = options;
    this.#server = (options.server ?? new URL(import.meta.url).origin).replace(/\/$/, "");
    /** `connecting`, `connected`, `reconnecting` or `ended`. */
    this.state = "connecting";
    /** Identifier of the call. */
    this.id = null;
    /** Why it ended, as the server says. */
    this.endReason = null;
    /** What was said so far; the last entry may be interim. */
    this.transcript = [];
    /** The agent's voice. */
    this.audio = options.audio ?? new Audio();
    this.muted = false;
  }

  async start() {
    try {
      await this.#connect();
    } catch (error) {
      this.#end();
      throw error;
    }
    globalThis.addEventListener?.("pagehide", this.#leave);
  }

  /** Stops or starts sending what the microphone hears. */
  mute(muted = true) {
    this.muted = muted;
    for (const track of this.#microphone?.getAudioTracks() ?? []) track.enabled = !muted;
  }

  /** Presses keys. */
  dtmf(digits) {
    if (!DIGITS.test(digits)) throw new TrunklineError("bad_digits", `${digits}: only 0-9, *, # and A-D are DTMF`);
    if (!this.#sender?.dtmf) throw new TrunklineError("no_dtmf", "This browser cannot send DTMF");
    this.#sender.dtmf.insertDTMF(digits.toUpperCase(), 120, 70);
  }

  /** Ends the call. */
  async hangUp() {
    const session = this.#session;
    this.#session = null;
    if (session) {
      const headers = { Authorization: `Bearer ${this.#options.token}` };
      // The call has already ended.
      await fetch(session, { method: "DELETE", headers, keepalive: true }).catch(() => {});
    }
    this.#end();
  }

  /** Figures of the connection (RTCStatsReport). */
  getStats() {
    return this.#peer?.getStats() ?? Promise.resolve(new Map());
  }

  async #connect() {
    const { microphone = true, iceServers = [] } = this.#options;
    this.#microphone = await this.#open(microphone);
    const peer = new RTCPeerConnection({ iceServers, bundlePolicy: "max-bundle" });
    this.#peer = peer;
    const [track] = this.#microphone?.getAudioTracks() ?? [];
    const direction = track ? "sendrecv" : "recvonly";
    const transceiver = peer.addTransceiver(track ?? "audio", { direction, streams: track ? [this.#microphone] : [] });
    this.#sender = transceiver.sender;
    peer.addEventListener("track", ({ track }) => this.#hear(track));
    peer.addEventListener("connectionstatechange", () => this.#connection());
    await peer.setLocalDescription(await peer.createOffer());
    // The server learns our addresses from our connectivity checks, so there are no candidates to wait for.
    const response = await this.#ask("POST", `${this.#server}/api/v1/whip/${encodeURIComponent(this.#options.agent)}`, {
      headers: { "Content-Type": "application/sdp" },
      body: peer.localDescription.sdp,
    });
    this.#session = new URL(response.headers.get("Location"), this.#server).href;
    this.id = this.#session.split("/").pop();
    this.#answer = await response.text();
    this.#follow(response.headers.get("Link") ?? "");
    if (this.state === "ended") return;
    await peer.setRemoteDescription({ type: "answer", sdp: this.#answer });
  }

  async #open(microphone) {
    if (microphone instanceof MediaStream) return microphone;
    if (!microphone) return null;
    if (!navigator.mediaDevices) {
      throw new TrunklineError("insecure_page", "Browsers allow the microphone only on https pages and localhost");
    }
    try {
      const audio = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
      const stream = await navigator.mediaDevices.getUserMedia({ audio });
      this.#ownMicrophone = true;
      return stream;
    } catch (error) {
      throw new TrunklineError("no_microphone", `No microphone: ${error.message}`);
    }
  }

  async #ask(method, url, { headers, body }) {
    const authorization = { Authorization: `Bearer ${this.#options.token}` };
    let response;
    try {
      response = await fetch(url, { method, headers: { ...headers, ...authorization }, body });
    } catch (error) {
      throw new TrunklineError("unreachable", `The server cannot be reached: ${error.message}`);
    }
    if (!response.ok) {
      const refusal = await response.json().catch(() => ({}));
      throw new TrunklineError(refusal.details?.code ?? "refused", refusal.error ?? response.statusText, response.status);
    }
    return response;
  }

  #hear(track) {
    const stream = new MediaStream([track]);
    this.audio.srcObject = stream;
    this.audio.autoplay = true;
    this.audio.play?.().catch(() => this.#tell("blocked", {}));
    this.#measure(stream);
  }

  #connection() {
    const state = this.#peer?.connectionState;
    clearTimeout(this.#restart);
    if (state === "connected") this.#become("connected");
    if (state === "disconnected") {
      this.#become("reconnecting");
      this.#restart = setTimeout(() => this.#mend(), RESTART_AFTER_MS);
    }
    if (state === "failed") this.#mend();
    if (state === "closed") this.#end();
  }

  /** Restarts ICE (RFC 9725 section 4.3.3), for example after a network change. */
  async #mend() {
    const peer = this.#peer;
    if (!peer || !this.#session || this.state === "ended") return;
    try {
      const offer = await peer.createOffer({ iceRestart: true });
      await peer.setLocalDescription(offer);
      const line = (name) => offer.sdp.match(new RegExp(`^a=${name}:.*$`, "m"))[0].trim();
      const response = await this.#ask("PATCH", this.#session, {
        headers: { "Content-Type": "application/trickle-ice-sdpfrag", "If-Match": "*" },
        body: `${line("ice-ufrag")}\r\n${line("ice-pwd")}\r\n`,
      });
        const fragment = await response.text();
      for (const name of ["ice-ufrag", "ice-pwd"]) {
        const ours = fragment.match(new RegExp(`^a=${name}:(.*)$`, "m"))[1].trim();
        this.#answer = this.#answer.replace(new RegExp(`^a=${name}:.*$`, "gm"), `a=${name}:${ours}\r`);
      }
      await peer.setRemoteDescription({ type: "answer", sdp: this.#answer });
    } catch (error) {
      if (this.state !== "ended") {
        this.#tell("error", { error });
        this.#end();
      }
    }
  }

  /** The live transcript comes over a WebSocket whose address the server has told. */
  #follow(links) {
    const link = links.split(",").find((one) => one.includes(`rel="${LIVE}"`));
    const url = link?.match(/<([^>]+)>/)?.[1];
    if (!url) return;
    const socket = new WebSocket(`${url}?session_token=${encodeURIComponent(this.#options.token)}`);
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => this.#update(JSON.parse(data)));
  }

  #update({ type, data }) {
    if (type === "transcript_update") {
      for (const turn of data.transcript) {
        this.transcript = this.transcript.filter((one) => one.is_final && one.position !== turn.position);
        const at = turn.position ?? Infinity;
        const before = this.transcript.findIndex((one) => one.position > at);
        this.transcript.splice(before < 0 ? this.transcript.length : before, 0, turn);
      }
      this.#tell("transcript", { turns: this.transcript });
    }
    if (type === "call_status_update" && (data.status === "completed" || data.status === "failed")) {
      this.endReason = data.end_reason;
      this.#session = null;
      this.#end();
    }
  }

  #measure(theirs) {
    const Context = globalThis.AudioContext;
    if (!Context) return;
    const context = new Context();
    const meter = (stream) => {
      if (!stream) return () => 0;
      const analyser = context.createAnalyser();
      analyser.fftSize = 1024;
      context.createMediaStreamSource(stream).connect(analyser);
      const samples = new Float32Array(analyser.fftSize);
      return () => {
        analyser.getFloatTimeDomainData(samples);
        return Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);
      };
    };
    const [mine, agent] = [meter(this.#microphone), meter(theirs)];
    const timer = setInterval(() => this.#tell("level", { mine: mine(), agent: agent() }), LEVEL_EVERY_MS);
    this.#levels = () => {
      clearInterval(timer);
      context.close().catch(() => {});
    };
  }

  #become(state) {
    if (this.state === state || this.state === "ended") return;
    this.state = state;
    this.#tell("state", { state, endReason: this.endReason });
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  #end() {
    if (this.state === "ended") return;
    clearTimeout(this.#restart);
    globalThis.removeEventListener?.("pagehide", this.#leave);
    this.#levels?.();
    this.#levels = null;
    this.#peer?.close();
    this.#peer = null;
    if (this.#ownMicrophone) for (const track of this.#microphone?.getTracks() ?? []) track.stop();
    this.#microphone = null;
    // The end of the transcript may still arrive; the server closes the socket when it is complete.
    const socket = this.#socket;
    if (socket) setTimeout(() => socket.close(), 3000);
    this.#become("ended");
  }
}

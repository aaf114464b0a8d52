// A call from this page, with the transcript as it grows and where the time of each answer went.

import { useEffect, useRef, useState } from "preact/hooks";
import { type Call as CallRow, type Demo, type WebCall, demoOf, get, post } from "./api";
import { Trunkline, type Call, type CallState, type Turn } from "../client/trunkline.js";
import { Level, Waterfall } from "./charts";
import { t } from "./i18n";
import { Latency, Thinking, latencyOf } from "./latency";
import { guardLeaving } from "./router";
import { Badge, Button, Card, Link, ErrorMessage } from "./ui";

/** Audio source when there is no microphone: plays phrases into the call. */
class PhraseAudioSource {
  readonly context = new AudioContext();
  readonly #out = this.context.createMediaStreamDestination();

  get stream(): MediaStream {
    return this.#out.stream;
  }

  async say(url: string): Promise<void> {
    const response = await fetch(url);
    const sound = await this.context.decodeAudioData(await response.arrayBuffer());
    const source = this.context.createBufferSource();
    source.buffer = sound;
    source.connect(this.#out);
    await new Promise<void>((done) => {
      source.onended = () => done();
      source.start();
    });
  }

  close() {
    void this.context.close();
  }
}

/** The microphone, before a call is placed: whoever is refused it leaves no call behind. */
async function openMicrophone(): Promise<MediaStream> {
  if (!navigator.mediaDevices) throw new Error("Browsers allow the microphone only on https pages and localhost.");
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true } });
  } catch (error) {
    const { name } = error as DOMException;
    if (name === "NotAllowedError") throw new Error("The browser does not allow the microphone. Allow it for this page, then call again.");
    if (name === "NotFoundError") throw new Error("This computer has no microphone.");
    throw new Error("The microphone cannot be opened. Another program may be using it.");
  }
}

const KEYS = "123456789*0#";

export function TestCall({ agent }: { agent: string }) {
  const [state, setState] = useState<CallState | "idle">("idle");
  const [turns, setTurns] = useState<Turn[]>([]);
  const [levels, setLevels] = useState({ mine: 0, agent: 0 });
  const [error, setError] = useState<Error | null>(null);
  const [muted, mute] = useState(false);
  const [figures, setFigures] = useState<CallRow | null>(null);
  const [demo, setDemo] = useState<Demo | null>(null);
  const [setUp, setSetUp] = useState<number | null>(null);
  const call = useRef<Call | null>(null);
  const mouth = useRef<PhraseAudioSource | null>(null);
  const microphone = useRef<MediaStream | null>(null);
  const left = useRef(false);
  const last = useRef<HTMLLIElement>(null);
  const talking = state === "connecting" || state === "connected" || state === "reconnecting";

  const closeSources = () => {
    mouth.current?.close();
    mouth.current = null;
    for (const track of microphone.current?.getTracks() ?? []) track.stop();
    microphone.current = null;
  };
  useEffect(() => {
    demoOf().then(setDemo);
    return () => {
      left.current = true;
      void call.current?.hangUp();
      closeSources();
    };
  }, []);
  useEffect(() => (talking ? guardLeaving(() => confirm(t("This ends the test call. Leave the page?"))) : undefined), [talking]);
  useEffect(() => last.current?.scrollIntoView({ block: "nearest" }), [turns]);

  const start = async (speaks: boolean) => {
    setError(null);
    setTurns([]);
    setFigures(null);
    setSetUp(null);
    // Nothing is muted in a new call.
    mute(false);
    setState("connecting");
    const clicked = performance.now();
    let placed: WebCall | null = null;
    try {
      if (speaks) microphone.current = await openMicrophone();
      else mouth.current = new PhraseAudioSource();
      placed = await post<WebCall>("/calls/web", { agent_id: agent, caller: "console" });
      const made = await Trunkline.call({
        agent,
        token: placed.token,
        iceServers: placed.ice_servers,
        microphone: microphone.current ?? mouth.current?.stream ?? false,
      });
      call.current = made;
      made.addEventListener("level", ({ detail }) => {
        setLevels(detail);
        // The first sound of the agent, as it comes out here.
        if (detail.agent > 0.01) setSetUp((known) => known ?? performance.now() - clicked);
      });
      made.addEventListener("transcript", ({ detail }) => setTurns([...detail.turns]));
      made.addEventListener("blocked", () => void made.audio.play());
      made.addEventListener("error", ({ detail }) => setError(detail.error));
      made.addEventListener("state", ({ detail }) => {
        setState(detail.state);
        if (detail.state === "ended") void ended(made.id);
      });
      setState(made.state);
      if (left.current) void made.hangUp();
    } catch (failure) {
      closeSources();
      setError(failure as Error);
      setState("idle");
      call.current = null;
      // A call that never began would wait for its browser.
      if (placed) await post(`/calls/${placed.call_id}/cancel`).catch(() => {});
    }
  };

  const ended = async (id: string | null) => {
    closeSources();
    call.current = null;
    setLevels({ mine: 0, agent: 0 });
    if (!id) return;
    // The figures are written when the call is over.
    for (let tries = 0; tries < 20 && !left.current; tries++) {
      const found = await get<{ call: CallRow }>(`/calls/${id}`).catch(() => null);
      if (found) setFigures(found.call);
      if (found?.call.metrics?.turns) return;
      await new Promise((done) => setTimeout(done, 250));
    }
  };

  // Other agents of the demo may have the emulated STT, which knows the recorded phrases only.
  const examples = demo && agent === demo.agent_id ? demo.examples : [];
  const sayable = examples.length > 0 ? examples : (demo?.phrases ?? []);
  return (
    <Card title={t("Test call")} wide actions={state !== "idle" && <span role="status" class="callstate"><Badge value={state} /></span>}>
      <div class="testcall">
        <div class="actions">
          {!talking && <Button kind="main" onClick={() => start(true)}>{t("Call with the microphone")}</Button>}
          {!talking && demo && <Button onClick={() => start(false)}>{t("Call without a microphone")}</Button>}
          {talking && <Button kind="danger" onClick={() => call.current?.hangUp()}>{t("Hang up")}</Button>}
          {talking && <Button aria-pressed={muted} onClick={() => { call.current?.mute(!muted); mute(!muted); }}>{muted ? t("Unmute") : t("Mute")}</Button>}
        </div>
        <ErrorMessage error={error} />
        {examples.length > 0 && (
          <div class="soft examples">
            <p>{t("Say what you like, in English. The agent answers questions about a small shop, looks up an order of six digits, takes a message or puts you through; it follows rules and is no language model. For example:")}</p>
            <ul>{examples.map((phrase) => <li key={phrase.name}>“{phrase.text}”</li>)}</ul>
          </div>
        )}
        {talking && mouth.current && (
          <div class="phrases" role="group" aria-label={t("Say something")}>
            {sayable.map((phrase) => (
              <Button key={phrase.name} disabled={state !== "connected"} onClick={() => void mouth.current?.say(`/demo/phrases/${phrase.name}`)}>“{phrase.text}”</Button>
            ))}
          </div>
        )}
        {talking && (
          <div class="inout">
            <Level value={levels.mine} label={t("You")} />
            <Level value={levels.agent} label={t("Agent")} />
            <div class="keys" role="group" aria-label={t("Keys")}>
              {[...KEYS].map((key) => <Button key={key} disabled={state !== "connected"} onClick={() => call.current?.dtmf(key)} aria-label={`${t("Key")} ${key}`}>{key}</Button>)}
            </div>
          </div>
        )}
        {(talking || turns.length > 0) && (
          <ol class="turns" aria-live="polite" aria-label={t("Live transcript")}>
            {turns.map((turn, index) => (
              <li key={turn.position ?? "interim"} ref={index === turns.length - 1 ? last : null} class={`${turn.role}${turn.is_final ? "" : " interim"}`}>
                <span class="who">{turn.role === "user" ? t("You") : turn.role === "assistant" ? t("Agent") : t(turn.role)}</span>
                <span>{turn.content}{turn.interrupted && <em> {t("interrupted")}</em>} <Latency ms={latencyOf(turns, index)} /></span>
              </li>
            ))}
            {talking && turns.at(-1)?.role === "user" && turns.at(-1)?.is_final && <Thinking key={turns.length} />}
          </ol>
        )}
        {setUp !== null && <p class="soft">{t("Click to first sound")}: <output class="setup">{Math.round(setUp)}</output> ms</p>}
        {figures?.metrics?.turns && (
          <>
            <h3>{t("Response latency by stage")}</h3>
            <Waterfall turns={figures.metrics.turns} />
            <p><Link to={`calls/${figures.id}`}>{t("The whole call")}</Link></p>
          </>
        )}
      </div>
    </Card>
  );
}

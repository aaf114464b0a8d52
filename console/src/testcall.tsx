// A call from this page, with the transcript as it grows and where the time of each answer went.

import { useEffect, useRef, useState } from "preact/hooks";
import { type Call as CallRow, type Demo, type WebCall, demoOf, get, post } from "./api";
import { Trunkline, type Call, type CallState, type Turn } from "../client/trunkline.js";
import { Level, Waterfall } from "./charts";
import { t } from "./i18n";
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
  const last = useRef<HTMLLIElement>(null);

  useEffect(() => {
    demoOf().then(setDemo);
    return () => void call.current?.hangUp();
  }, []);
  useEffect(() => last.current?.scrollIntoView({ block: "nearest" }), [turns]);

  const start = async (microphone: boolean) => {
    setError(null);
    setTurns([]);
    setFigures(null);
    setSetUp(null);
    setState("connecting");
    const clicked = performance.now();
    try {
      const placed = await post<WebCall>("/calls/web", { agent_id: agent, caller: "console" });
      if (!microphone) mouth.current = new PhraseAudioSource();
      const made = await Trunkline.call({
        agent,
        token: placed.token,
        iceServers: placed.ice_servers,
        microphone: microphone ? true : (mouth.current?.stream ?? false),
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
    } catch (failure) {
      setError(failure as Error);
      setState("idle");
      call.current = null;
    }
  };

  const ended = async (id: string | null) => {
    mouth.current?.close();
    mouth.current = null;
    call.current = null;
    setLevels({ mine: 0, agent: 0 });
    if (!id) return;
    // The figures are written when the call is over.
    for (let tries = 0; tries < 20; tries++) {
      const { call: row } = await get<{ call: CallRow }>(`/calls/${id}`);
      setFigures(row);
      if (row.metrics?.turns) return;
      await new Promise((done) => setTimeout(done, 250));
    }
  };

  // Other agents of the demo may have the emulated STT, which knows the recorded phrases only.
  const examples = demo && agent === demo.agent_id ? demo.examples : [];
  const sayable = examples.length > 0 ? examples : (demo?.phrases ?? []);
  const talking = state === "connecting" || state === "connected" || state === "reconnecting";
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
                <span class="who">{t(turn.role)}</span>
                <span>{turn.content}{turn.interrupted && <em> {t("interrupted")}</em>}</span>
              </li>
            ))}
          </ol>
        )}
        {setUp !== null && <p class="soft">{t("Click to first sound")}: <output class="setup">{Math.round(setUp)}</output> ms</p>}
        {figures?.metrics?.turns && (
          <>
            <h3>{t("Time breakdown of each answer")}</h3>
            <Waterfall turns={figures.metrics.turns} />
            <p><Link to={`calls/${figures.id}`}>{t("The whole call")}</Link></p>
          </>
        )}
      </div>
    </Card>
  );
}

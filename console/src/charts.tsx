// Charts. Each also shows its values as text, for accessibility.

import { useEffect, useRef, useState } from "preact/hooks";
import type { Turn, TurnFigures } from "./api";
import { t } from "./i18n";
import { formatDay, formatNumber } from "./ui";

const STAGES = ["recogniser", "decision", "model", "sentence", "voice", "playout"] as const;

/** Latency breakdown, one row per turn. */
export function Waterfall({ turns, none }: { turns: TurnFigures[]; none?: string }) {
  const answered = turns.filter((turn) => turn.response_ms !== null);
  if (!answered.length) return <p class="soft">{none ?? t("The agent gave no answers.")}</p>;
  const longest = Math.max(1000, ...answered.map((turn) => turn.response_ms ?? 0));
  return (
    <div class="waterfall">
      <ul class="legend" aria-hidden="true">
        {STAGES.map((stage) => <li key={stage} class={`stage-${stage}`}>{t(stage)}</li>)}
      </ul>
      <ol>
        {answered.map((turn, index) => {
          let at = 0;
          const parts = STAGES.map((stage) => {
            const from = at;
            at += turn.cost[`${stage}_ms`] ?? 0;
            return { stage, from, to: at };
          });
          const words = parts.filter(({ from, to }) => to > from).map(({ stage, from, to }) => `${t(stage)} ${to - from} ms`).join(", ");
          return (
            <li key={index}>
              <span>{index + 1}</span>
              <svg viewBox={`0 0 ${longest} 10`} preserveAspectRatio="none" role="img" aria-label={`${t("Answer")} ${index + 1}: ${words}`}>
                {parts.map(({ stage, from, to }) => <rect key={stage} class={`stage-${stage}`} x={from} y={0} width={Math.max(0, to - from)} height={10} />)}
              </svg>
              <span class="ms">{formatNumber(turn.response_ms ?? 0)} ms</span>
            </li>
          );
        })}
      </ol>
    </div>
  );
}

/** The upper end of an axis: a round number whose half is round too. */
export function axisTop(value: number): number {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return power * ([1, 2, 4, 6, 8, 10].find((one) => one * power >= value) ?? 10);
}

interface BarsProps<D extends { day: string }> {
  days: D[];
  value: (day: D) => number;
  label: string;
  unit: (value: number) => string;
  /** A part of the value, drawn into its bar. */
  part?: (day: D) => number;
  /** The part is what nobody wants. */
  bad?: boolean;
  /** Instead of the sum of all days. */
  total?: string;
  /** Opens what is behind a day's bar. A table beside the chart leads there too, for keyboards. */
  open?: (day: D) => void;
}

/** A bar a day, with its axis. */
export function Bars<D extends { day: string }>({ days, value, label, unit, part, bad, total, open }: BarsProps<D>) {
  const most = Math.max(...days.map(value), 0);
  const top = axisTop(most);
  const width = 100 / Math.max(days.length, 1);
  const sum = days.reduce((all, day) => all + value(day), 0);
  const said = (day: D) => `${unit(value(day))}${part && part(day) ? ` (${unit(part(day))})` : ""}`;
  return (
    <figure class="bars">
      <figcaption><span>{label}</span> <strong>{total ?? unit(sum)}</strong></figcaption>
      <div class="plot">
        <div class="scale" aria-hidden="true">{most > 0 ? <><span>{unit(top)}</span><span>{unit(top / 2)}</span></> : <><span /><span /></>}<span>{unit(0)}</span></div>
        <svg viewBox="0 0 100 40" preserveAspectRatio="none" role="img" aria-label={`${label}: ${days.filter(value).map((day) => `${formatDay(day.day)} ${said(day)}`).join("; ") || t("none")}`}>
          {[0.25, 20, 39.75].map((y) => <line key={y} class="line" x1="0" x2="100" y1={y} y2={y} />)}
          {days.map((day, index) => {
            const bar = (amount: number, look?: string) => {
              const height = (amount / top) * 40;
              return <rect class={look} x={index * width + width * 0.12} y={40 - height} width={width * 0.76} height={height} />;
            };
            return (
              <g key={day.day} class={open && value(day) ? "open" : undefined} onClick={open && value(day) ? () => open(day) : undefined}>
                <title>{`${formatDay(day.day)}: ${said(day)}`}</title>
                {open && <rect class="hit" x={index * width} y={0} width={width} height={40} />}
                {bar(value(day), part && !bad ? "whole" : undefined)}
                {part && bar(part(day), bad ? "bad" : undefined)}
              </g>
            );
          })}
        </svg>
        <div class="axis" aria-hidden="true"><span>{days[0] && formatDay(days[0].day)}</span><span>{days.length > 2 && formatDay(days[Math.floor(days.length / 2)]!.day)}</span><span>{days.length > 1 && formatDay(days.at(-1)!.day)}</span></div>
      </div>
    </figure>
  );
}

/** A level between silence and loud. */
export function Level({ value, label }: { value: number; label: string }) {
  const db = value > 0 ? 20 * Math.log10(value) : -60;
  const shown = Math.round(Math.max(0, Math.min(1, (db + 60) / 60)) * 100);
  return (
    <div class="level">
      <span>{label}</span>
      <meter min={0} max={100} value={shown} aria-label={label} />
    </div>
  );
}

interface Peaks {
  seconds: number;
  sides: [Float32Array, Float32Array];
}

const COLUMNS = 1200;

async function peaksOf(url: string): Promise<Peaks> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${response.status}`);
  const context = new OfflineAudioContext(2, 1, 8000);
  const audio = await context.decodeAudioData(await response.arrayBuffer());
  const sides = [0, 1].map((side) => {
    const samples = audio.getChannelData(Math.min(side, audio.numberOfChannels - 1));
    const peaks = new Float32Array(COLUMNS);
    const step = samples.length / COLUMNS;
    for (let column = 0; column < COLUMNS; column++) {
      let peak = 0;
      for (let at = Math.floor(column * step); at < (column + 1) * step; at++) peak = Math.max(peak, Math.abs(samples[at] ?? 0));
      peaks[column] = peak;
    }
    return peaks;
  });
  return { seconds: audio.duration, sides: sides as [Float32Array, Float32Array] };
}

/** The recording: caller above, agent below, what was cut off marked. A click plays from there; so do the arrow keys. */
export function Waveform({ url, turns, at, seek }: { url: string; turns: Turn[]; at: number; seek: (seconds: number) => void }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [peaks, set] = useState<Peaks | null>(null);
  const [failed, fail] = useState(false);
  useEffect(() => {
    peaksOf(url).then(set, () => fail(true));
  }, [url]);
  useEffect(() => {
    if (canvas.current && peaks) draw(canvas.current, peaks, turns, at);
  }, [peaks, turns, at]);
  if (failed) return <p class="problem">{t("The recording cannot be read.")}</p>;
  const seconds = peaks?.seconds ?? 0;
  return (
    <canvas
      ref={canvas}
      class="waveform"
      width={COLUMNS}
      height={160}
      role="slider"
      tabIndex={0}
      aria-label={t("Recording: caller above, agent below")}
      aria-valuemin={0}
      aria-valuemax={Math.round(seconds)}
      aria-valuenow={Math.round(at)}
      aria-valuetext={`${Math.round(at)} s`}
      onClick={(event) => {
        const box = event.currentTarget.getBoundingClientRect();
        seek(((event.clientX - box.left) / box.width) * seconds);
      }}
      onKeyDown={(event) => {
        const step = { ArrowLeft: -2, ArrowRight: 2, PageDown: 10, PageUp: -10 }[event.key];
        if (step === undefined) return;
        event.preventDefault();
        seek(Math.max(0, Math.min(seconds, at + step)));
      }}
    />
  );
}

function draw(canvas: HTMLCanvasElement, { seconds, sides }: Peaks, turns: Turn[], at: number) {
  const context = canvas.getContext("2d");
  if (!context) return;
  const colour = (name: string) => getComputedStyle(canvas).getPropertyValue(name).trim();
  const { width, height } = canvas;
  const x = (time: number) => (time / seconds) * width;
  context.clearRect(0, 0, width, height);
  for (const turn of turns.filter((one) => one.interrupted)) {
    context.fillStyle = colour("--cut");
    context.fillRect(x(turn.started_at_ms / 1000), height / 2, Math.max(2, x((turn.ended_at_ms - turn.started_at_ms) / 1000)), height / 2);
    context.fillStyle = colour("--bad");
    context.fillRect(x(turn.ended_at_ms / 1000) - 1, 0, 2, height);
  }
  sides.forEach((peaks, side) => {
    const middle = height * (side ? 0.75 : 0.25);
    context.fillStyle = colour(side ? "--agent" : "--caller");
    peaks.forEach((peak, column) => {
      const tall = Math.max(1, peak * height * 0.48);
      context.fillRect(column, middle - tall / 2, 1, tall);
    });
  });
  context.fillStyle = colour("--ink");
  context.fillRect(x(at) - 1, 0, 2, height);
}

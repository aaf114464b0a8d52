// The same recordings from a microphone of Chromium: what the local STT hears of a call over WebRTC, as lines of JSON for words.py.
//
//   CONSOLE_URL=http://127.0.0.1:3008 API_KEY=… AGENT=… LIST=FOLDER/list.tsv node chromium.mjs | python3 words.py
//
// AGENT is an agent with the local STT that answers shortly, such as the one of calls.py. ROWS are taken of each source and noise.

import fs from "node:fs";
import { AGENT, BASE, api, browser, microphone, page, until } from "../../tests/browser/support.mjs";

const ROWS = Number(process.env.ROWS ?? 8);
/** The greeting is over by then. */
const FIRST_S = 7;
/** After each recording: the wait, and the answer. */
const BETWEEN_S = 5;

const groups = new Map();
for (const line of fs.readFileSync(process.env.LIST, "utf8").trim().split("\n")) {
  const [source, noise, wav, text] = line.split("\t");
  const rows = groups.get(`${source}\t${noise}`) ?? [];
  if (rows.length < ROWS) groups.set(`${source}\t${noise}`, [...rows, { wav, text, seconds: (fs.statSync(wav).size - 44) / 16_000 }]);
}

for (const [group, rows] of groups) {
  const [source, noise] = group.split("\t");
  let end = FIRST_S;
  const placed = rows.map(({ wav, seconds }) => {
    const at = end;
    end += seconds + BETWEEN_S;
    return [at, wav];
  });
  const chromium = await browser(microphone(`${source}-${noise.replace(" ", "-")}.wav`, Math.ceil(end) + 2, placed));
  const { page: caller } = await page(chromium);
  await caller.goto(`${BASE}/examples/call.html`);
  const { token } = await api("POST", "/calls/web", { agent_id: AGENT });
  await caller.evaluate(async ([agent, token]) => {
    const { Trunkline } = await import("/trunkline.js");
    window.call = await Trunkline.call({ agent, token, microphone: true });
  }, [AGENT, token]);
  await new Promise((done) => setTimeout(done, end * 1_000));
  await caller.evaluate(() => window.call.hangUp());
  await chromium.close();
  const call = await until("the end of the call", async () => {
    const { calls } = await api("GET", "/calls?direction=web&limit=1");
    const { call } = await api("GET", `/calls/${calls[0].id}`);
    return call.status === "completed" && call.metrics && call;
  });
  const heard = call.transcript.filter((turn) => turn.role === "user").map((turn) => turn.content);
  const responses = call.metrics.turns.map((turn) => turn.response_ms).filter((ms) => ms !== null);
  console.log(JSON.stringify({ source, noise, codec: "opus", said: rows.map(({ text }) => text), heard, responses_ms: responses }));
}

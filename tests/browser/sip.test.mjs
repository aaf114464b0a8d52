// A telephone in a page, by a library we did not write: SIP over a WebSocket, media by the browser's WebRTC.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import esbuild from "esbuild";
import { BASE, api, browser, microphone, page, stats, until } from "./support.mjs";

const SIP = process.env.SIP_URL;
const NUMBER = process.env.NUMBER;
const open_ = [];
after(() => Promise.all(open_.map((one) => one.close())));

const bundled = await esbuild.build({
  stdin: { contents: 'window.JsSIP = require("jssip");', resolveDir: import.meta.dirname },
  bundle: true,
  write: false,
  format: "iife",
  logLevel: "silent",
});

const dbfs = ({ energy, seconds }) => 10 * Math.log10(energy / Math.max(seconds, 0.001));

test("JsSIP in Chromium is greeted, understood, held and resumed, presses keys, and hangs up", async () => {
  const made = await browser(microphone("sip-microphone.wav", 60, [5, 20, 35].map((at) => [at, "opening_hours"])));
  open_.push(made);
  const { page: phone, faults } = await page(made, { bypassCSP: true });
  await phone.goto(`${BASE}/`);
  await phone.addScriptTag({ content: bundled.outputFiles[0].text });
  await phone.evaluate(
    ([url, number]) => {
      const host = new URL(url).hostname;
      const ua = new JsSIP.UA({ sockets: [new JsSIP.WebSocketInterface(url)], uri: `sip:+15550100@${host}`, register: false });
      ua.start();
      window.events = [];
      const call = () => {
        window.session = ua.call(`sip:${number}@${host}`, { mediaConstraints: { audio: true, video: false }, pcConfig: { iceServers: [] } });
        for (const name of ["progress", "accepted", "confirmed", "ended", "failed", "hold", "unhold"]) {
          session.on(name, (event) => window.events.push(`${name} ${event?.originator ?? ""} ${event?.cause ?? ""}`.trim()));
        }
        session.connection.addEventListener("track", ({ streams }) => {
          const audio = document.createElement("audio");
          Object.assign(audio, { srcObject: streams[0], autoplay: true });
          document.body.append(audio);
        });
      };
      ua.on("connected", call);
    },
    [SIP, NUMBER],
  );
  const happened = () => phone.evaluate(() => window.events);
  await until("the answer", async () => (await happened()).some((event) => event.startsWith("confirmed")));
  const row = async () => {
    const { calls } = await api("GET", "/calls?limit=1");
    return (await api("GET", `/calls/${calls[0].id}`)).call;
  };
  const answered = await until("the agent to understand and answer", async () => {
    const call = await row();
    return call.transcript.length >= 3 && call;
  }, 50_000);
  assert.equal(answered.transcript[0].content, "Good morning, this is Acme.");
  assert.equal(answered.transcript[1].content, "What are your opening hours?");
  const figures = await until("sound in both directions", async () => {
    const now = await stats(phone);
    return now.received > 100 && now.sent > 100 && now.energy > 0 ? now : null;
  });
  assert.equal(figures.codec, "audio/opus");
  assert.ok(dbfs(figures) > -45, `the agent is heard at ${dbfs(figures).toFixed(1)} dBFS`);
  // Hold and resume: a re-INVITE each, answered by the peer of the call.
  await phone.evaluate(() => session.hold());
  await until("the hold", async () => (await happened()).some((event) => event.startsWith("hold local")));
  const answer = () => phone.evaluate(() => session.connection.remoteDescription.sdp);
  await until("the answer to the hold", async () => /a=(recvonly|inactive)/.test(await answer()));
  await phone.evaluate(() => session.unhold());
  await until("the resumption", async () => (await happened()).some((event) => event.startsWith("unhold local")));
  await until("the answer to the resumption", async () => /a=sendrecv/.test(await answer()));
  const before = (await stats(phone)).received;
  await until("sound after the hold", async () => (await stats(phone)).received > before + 50);
  // Keys: JsSIP sends an INFO for each.
  await phone.evaluate(() => session.sendDTMF("42#", { transportType: "INFO", interToneGap: 100 }));
  const pressed = await until("the keys", async () => (await row()).transcript.find((entry) => entry.content === "[DTMF 42]"), 15_000);
  assert.equal(pressed.role, "user");
  await phone.evaluate(() => session.terminate());
  const call = await until("the end of the call", async () => {
    const call = await row();
    return call.end_reason && call;
  });
  assert.equal(call.end_reason, "customer_hung_up");
  console.log(`JsSIP: agent heard at ${dbfs(figures).toFixed(1)} dBFS, ${JSON.stringify(figures)}, ${await happened()}`);
  assert.deepEqual(faults, []);
});

// What every case needs: a browser with a microphone that speaks a file, somebody who is logged in, an eye on faults.

import fs from "node:fs";
import path from "node:path";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const here = path.dirname(fileURLToPath(import.meta.url));
const fixtures = path.join(here, "../../fixtures/audio");
const axe = fs.readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export const BASE = process.env.CONSOLE_URL ?? "http://127.0.0.1:3008";
export const EMAIL = process.env.CONSOLE_EMAIL ?? "";
export const PASSWORD = process.env.CONSOLE_PASSWORD ?? "";
export const KEY = process.env.API_KEY ?? "";
export const AGENT = process.env.AGENT ?? "";
const ARTEFACTS = process.env.ARTEFACTS ?? path.join(here, "../../artefacts");
fs.mkdirSync(ARTEFACTS, { recursive: true });

const RATE = 48_000;

/** Samples of a telephone phrase, or of a WAV file at 8 kHz, at the rate of a sound card. */
function phrase(name) {
  const bytes = fs.readFileSync(name.endsWith(".wav") ? name : path.join(fixtures, `${name}.wav`));
  const at = bytes.indexOf("data") + 8;
  const narrow = new Int16Array(bytes.buffer.slice(bytes.byteOffset + at, bytes.byteOffset + bytes.length - ((bytes.length - at) % 2)));
  const wide = new Int16Array(narrow.length * 6);
  for (let i = 0; i < wide.length; i++) {
    const [left, share] = [Math.floor(i / 6), (i % 6) / 6];
    wide[i] = narrow[left] * (1 - share) + (narrow[left + 1] ?? 0) * share;
  }
  return wide;
}

/** A WAV file of phrases at their seconds: what the microphone hears. */
export function microphone(file, seconds, phrases) {
  const samples = new Int16Array(seconds * RATE);
  // A room is never silent.
  for (let i = 0; i < samples.length; i++) samples[i] = Math.round((Math.random() - 0.5) * 8);
  for (const [at, name] of phrases) samples.set(phrase(name), Math.round(at * RATE));
  const head = Buffer.alloc(44);
  head.write("RIFF", 0);
  head.writeUInt32LE(36 + samples.length * 2, 4);
  head.write("WAVEfmt ", 8);
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(1, 22);
  head.writeUInt32LE(RATE, 24);
  head.writeUInt32LE(RATE * 2, 28);
  head.writeUInt16LE(2, 32);
  head.writeUInt16LE(16, 34);
  head.write("data", 36);
  head.writeUInt32LE(samples.length * 2, 40);
  const target = path.join(ARTEFACTS, file);
  fs.writeFileSync(target, Buffer.concat([head, Buffer.from(samples.buffer)]));
  return target;
}

export async function browser(wav) {
  const microphone = wav ? [`--use-file-for-fake-audio-capture=${wav}%noloop`] : [];
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--use-fake-ui-for-media-stream",
      "--use-fake-device-for-media-stream",
      "--autoplay-policy=no-user-gesture-required",
      // The connections of these tests stay on this machine; a CI box may have no other address.
      "--allow-loopback-in-peer-connection",
      ...microphone,
    ],
  });
}

/** A page whose faults are collected; peer connections can be asked for their figures. */
export async function page(browser, options = {}) {
  const context = await browser.newContext({ locale: "en-GB", viewport: { width: 1280, height: 900 }, ...options });
  // A page that is slow on a busy machine is not broken.
  context.setDefaultTimeout(Number(process.env.PATIENCE_MS ?? 60_000));
  const made = await context.newPage();
  const faults = [];
  made.on("pageerror", (error) => faults.push(`error: ${error.message}`));
  made.on("console", (message) => {
    // A refusal that the test provokes is a line of the browser's own.
    if (message.type() === "error" && !/Failed to load resource/.test(message.text())) faults.push(`console: ${message.text()}`);
  });
  await made.addInitScript(() => {
    window.peers = [];
    const Peer = window.RTCPeerConnection;
    window.RTCPeerConnection = class extends Peer {
      constructor(...args) {
        super(...args);
        window.peers.push(this);
      }
    };
    document.addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => console.error(`CSP: ${violatedDirective} ${blockedURI}`));
  });
  return { page: made, context, faults };
}

export async function logIn(page) {
  await page.goto(`${BASE}/`);
  await page.getByLabel("E-mail").fill(EMAIL);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("heading", { name: "Overview" }).waitFor();
}

export async function open(page, hash, heading) {
  await page.evaluate((hash) => (location.hash = hash), hash);
  await page.getByRole("heading", { level: 1, name: heading }).waitFor();
  await page.waitForFunction(() => !document.querySelector("main .loading"));
}

export const shot = (page, name) => page.screenshot({ path: path.join(ARTEFACTS, `${name}.png`), fullPage: true });

/** Faults that a screen reader, a keyboard or weak eyes would meet. */
export async function accessibility(page) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.target} ${node.failureSummary}`).join(" | ")}`);
}

export async function api(method, route, body) {
  const response = await fetch(`${BASE}/v1${route}`, {
    method,
    headers: { Authorization: `Bearer ${KEY}`, ...(body ? { "Content-Type": "application/json" } : {}) },
    body: body && JSON.stringify(body),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(`${method} ${route}: ${JSON.stringify(answer)}`);
  return answer;
}

/** Asks until the answer pleases. */
export async function until(what, ask, timeoutMs = 45_000) {
  const end = Date.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await new Promise((done) => setTimeout(done, 100));
  }
}

/** What the page's connection has carried so far. */
export const stats = (page) =>
  page.evaluate(async () => {
    const reports = [...(await window.peers.at(-1).getStats()).values()];
    const of = (type) => reports.find((one) => one.type === type && (one.kind ?? "audio") === "audio") ?? {};
    const [inbound, outbound] = [of("inbound-rtp"), of("outbound-rtp")];
    const codec = reports.find((one) => one.id === inbound.codecId) ?? {};
    const pair = reports.find((one) => one.type === "candidate-pair" && one.nominated) ?? {};
    const remote = reports.find((one) => one.id === pair.remoteCandidateId) ?? {};
    return {
      received: inbound.packetsReceived ?? 0,
      sent: outbound.packetsSent ?? 0,
      lost: inbound.packetsLost ?? 0,
      energy: inbound.totalAudioEnergy ?? 0,
      seconds: inbound.totalSamplesDuration ?? 0,
      concealed: inbound.concealedSamples ?? 0,
      codec: codec.mimeType,
      fmtp: codec.sdpFmtpLine,
      protocol: remote.protocol,
    };
  });

// Calls from a page, in a real browser with a microphone that speaks a file.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { AGENT, BASE, accessibility, api, browser, logIn, microphone, open, page, shot, stats, until } from "./support.mjs";

const open_ = [];
after(() => Promise.all(open_.map((one) => one.close())));

async function launch(wav) {
  const made = await browser(wav);
  open_.push(made);
  return made;
}

// The browser counts the energy of its level meter, which follows the peaks.
const dbfs = ({ energy, seconds }) => 10 * Math.log10(energy / Math.max(seconds, 0.001));

test("a call from the console is heard in both directions, interrupted, shown and ended", async () => {
  // Said three times over: a browser on a busy machine drops sound now and then, and is not understood.
  const wav = microphone("microphone.wav", 60, [5, 20, 35].flatMap((at) => [[at, "opening_hours"], [at + 5.2, "wait_stop"]]));
  const { page: console_, faults } = await page(await launch(wav));
  await logIn(console_);
  await open(console_, `#/agents/${AGENT}`, "Test");
  await console_.getByRole("button", { name: "Call with the microphone" }).click();
  await console_.locator(".callstate", { hasText: "connected" }).waitFor();
  const lines = console_.getByRole("list", { name: "Live transcript" });
  await lines.getByText("Good morning, this is Acme.").waitFor();
  await lines.getByText("What are your opening hours?").first().waitFor({ timeout: 50_000 });
  // The agent answers, and is cut short by the second phrase.
  await lines.getByText("interrupted").first().waitFor({ timeout: 50_000 });
  const figures = await until("sound in both directions", async () => {
    const now = await stats(console_);
    return now.received > 100 && now.sent > 100 && now.energy > 0 ? now : null;
  });
  assert.equal(figures.codec, "audio/opus");
  assert.match(figures.fmtp, /useinbandfec=1/);
  assert.ok(dbfs(figures) > -45, `the agent is heard at ${dbfs(figures).toFixed(1)} dBFS`);
  assert.equal(figures.lost, 0);
  await shot(console_, "call-from-the-console");
  assert.deepEqual(await accessibility(console_), []);
  await console_.getByRole("button", { name: "Hang up" }).click();
  await console_.locator(".callstate", { hasText: "ended" }).waitFor();
  await console_.getByRole("img", { name: /^Answer 1/ }).waitFor();
  const setUp = Number(await console_.locator(".setup").textContent());
  assert.ok(setUp > 0);
  console.log(`click to first sound ${setUp} ms, agent heard at ${dbfs(figures).toFixed(1)} dBFS, ${JSON.stringify(figures)}`);
  const { calls } = await api("GET", "/calls?direction=web&limit=1");
  const call = await until("the end of the call", async () => {
    const { call } = await api("GET", `/calls/${calls[0].id}`);
    return call.recording_available && call;
  });
  assert.equal(call.end_reason, "customer_hung_up");
  assert.equal(call.transport, "webrtc");
  assert.ok(call.transcript.some((turn) => turn.interrupted), "the interruption is on record");
  // Its page: waveform, transcript, timeline, cost.
  await open(console_, `#/calls/${call.id}`, "Test call");
  await console_.getByRole("slider", { name: /Recording/ }).waitFor();
  await console_.getByRole("button", { name: /Listen from/ }).first().click();
  await until("the recording to play", () => console_.evaluate(() => document.querySelector("audio").currentTime > 0));
  await console_.evaluate(() => document.querySelector("audio").pause());
  await shot(console_, "call");
  assert.deepEqual(await accessibility(console_), []);
  assert.deepEqual(faults, []);
});

test("a call that goes on is steered from its page, and the caller notices nothing but the words", async () => {
  const chromium = await launch(microphone("silent.wav", 40, []));
  const { page: caller, faults } = await page(chromium);
  await logIn(caller);
  await open(caller, `#/agents/${AGENT}`, "Test");
  await caller.getByRole("button", { name: "Call with the microphone" }).click();
  const lines = caller.getByRole("list", { name: "Live transcript" });
  await lines.getByText("Good morning, this is Acme.").waitFor();
  const id = await until("the call", async () => (await api("GET", "/calls?status=in_progress&limit=1")).calls[0]?.id);
  const { page: desk, faults: faultsOfDesk } = await page(chromium);
  await logIn(desk);
  await desk.getByRole("link", { name: /^Steer/ }).click();
  await desk.getByRole("heading", { level: 1, name: "Test call" }).waitFor();
  await desk.getByLabel("Let the agent say").fill("Your parcel is here.");
  await desk.getByLabel("Interrupt the agent").check();
  await desk.getByRole("button", { name: "Say", exact: true }).click();
  const words = desk.getByRole("list", { name: "Transcript" });
  await words.getByText("said by an operator").waitFor();
  await lines.getByText("Your parcel is here.").waitFor();
  await desk.getByLabel("Tell the agent").fill("Offer a discount.");
  await desk.getByRole("button", { name: "Whisper" }).click();
  await desk.getByRole("list", { name: "Commands" }).getByText("Offer a discount.").waitFor();
  await desk.getByRole("button", { name: "Hold" }).click();
  await desk.getByRole("button", { name: "Resume" }).waitFor();
  await desk.getByLabel("Let the agent say").fill("Hello?");
  await desk.getByRole("button", { name: "Say", exact: true }).click();
  await desk.getByText("The caller is on hold; resume the call first").waitFor();
  await shot(desk, "steered");
  assert.deepEqual(await accessibility(desk), []);
  await desk.getByRole("button", { name: "Resume" }).click();
  await desk.getByRole("button", { name: "Hold" }).waitFor();
  await desk.getByLabel("Put through to").fill("020 123");
  await desk.getByRole("button", { name: "Put through" }).click();
  await desk.getByText(/must be a number with its country code/).waitFor();
  assert.doesNotMatch(await lines.innerText(), /discount|operator/);
  await desk.getByRole("button", { name: "End the call" }).click();
  await caller.locator(".callstate", { hasText: "ended" }).waitFor();
  const { call } = await api("GET", `/calls/${id}`);
  assert.deepEqual(call.metrics.controls.map(({ control }) => control), ["say", "instruct", "hold", "resume"]);
  assert.deepEqual([...faults, ...faultsOfDesk], []);
});

test("the demo's phrases are spoken without a microphone", async () => {
  const { page: console_, faults } = await page(await launch(), { permissions: [] });
  await console_.goto(`${BASE}/`);
  await console_.getByRole("button", { name: "Look around" }).click();
  await console_.getByRole("button", { name: "Call without a microphone" }).click();
  await console_.locator(".callstate", { hasText: "connected" }).waitFor();
  const lines = console_.getByRole("list", { name: "Live transcript" });
  await lines.locator("li.assistant").first().waitFor();
  await until("the greeting to end", async () => (await stats(console_)).received > 60);
  const understood = lines.locator("li.user:not(.interim)", { hasText: "I would like to know where my order is." });
  await until("the phrase to be understood", async () => {
    await console_.getByRole("button", { name: "“I would like to know where my order is.”" }).click();
    return understood.first().waitFor({ timeout: 9_000 }).then(() => true, () => false);
  }, 40_000);
  await until("an answer", async () => (await lines.locator("li.assistant").count()) > 1);
  await console_.getByRole("button", { name: "Mute" }).click();
  await console_.getByRole("button", { name: "Unmute" }).waitFor();
  await console_.getByRole("button", { name: "Key 5" }).click();
  await shot(console_, "demo");
  // Whoever leaves the page in a call is asked.
  const asked = console_.waitForEvent("dialog").then((dialog) => dialog.dismiss());
  await console_.evaluate(() => (location.hash = "#/calls"));
  await asked;
  await console_.waitForURL(/#\/$/);
  await console_.getByRole("button", { name: "Hang up" }).click();
  await console_.locator(".callstate", { hasText: "ended" }).waitFor();
  // The next call is not muted, and its button says so.
  await console_.getByRole("button", { name: "Call without a microphone" }).click();
  await console_.getByRole("button", { name: "Mute", exact: true }).waitFor();
  await console_.getByRole("button", { name: "Hang up" }).click();
  await console_.locator(".callstate", { hasText: "ended" }).waitFor();
  assert.deepEqual(faults, []);
});

test("the example page calls, and the agent's goodbye ends the call", async () => {
  const wav = microphone("goodbye.wav", 40, [6, 14, 22, 30].map((at) => [at, "goodbye"]));
  const { page: example, faults } = await page(await launch(wav));
  await example.goto(`${BASE}/examples/call.html`);
  await example.getByRole("button", { name: "Call" }).click();
  await example.getByText("connected").waitFor();
  await example.getByText(/^assistant: /).first().waitFor();
  assert.deepEqual(await accessibility(example), []);
  await shot(example, "example");
  await example.getByText("ended").waitFor({ timeout: 45_000 });
  await example.getByRole("button", { name: "Call" }).waitFor();
  assert.deepEqual(faults, []);
});

test("a browser that UDP does not get out of calls over TCP", async () => {
  const wav = microphone("tcp.wav", 40, [5, 14, 23].map((at) => [at, "opening_hours"]));
  const { page: example, faults } = await page(await launch(wav));
  await example.addInitScript(() => {
    const set = RTCPeerConnection.prototype.setRemoteDescription;
    RTCPeerConnection.prototype.setRemoteDescription = function ({ type, sdp }) {
      return set.call(this, { type, sdp: sdp.split("\r\n").filter((line) => !/^a=candidate.* udp /i.test(line)).join("\r\n") });
    };
  });
  await example.goto(`${BASE}/examples/call.html`);
  await example.getByRole("button", { name: "Call" }).click();
  await example.getByText("connected").waitFor();
  await example.getByText("user: What are your opening hours?").first().waitFor({ timeout: 35_000 });
  assert.equal((await stats(example)).protocol, "tcp");
  await example.getByRole("button", { name: "Hang up" }).click();
  await example.getByText("ended").waitFor();
  assert.deepEqual(faults, []);
});

test("refusals come as words", async () => {
  const { page: example, faults } = await page(await launch());
  await example.goto(`${BASE}/examples/call.html`);
  const refused = (options) =>
    example.evaluate(async (options) => {
      const { Trunkline } = await import("/trunkline.js");
      return Trunkline.call(options).then(() => "called", ({ code, status }) => `${code} ${status}`);
    }, options);
  assert.equal(await refused({ agent: AGENT }), "bad_options null");
  assert.equal(await refused({ agent: AGENT, token: "nonsense" }), "invalid_token 401");
  const { token } = await api("POST", "/calls/web", { agent_id: AGENT });
  assert.equal(await refused({ agent: "01a2011b-0612-74b5-ade0-d698a39728b2", token }), "wrong_agent 403");
  assert.equal(await refused({ agent: AGENT, token, server: "http://127.0.0.1:9" }), "unreachable null");
  const key = await example.evaluate(async ([agent, token]) => {
    const { Trunkline } = await import("/trunkline.js");
    const call = await Trunkline.call({ agent, token, microphone: true });
    try {
      call.dtmf("1x");
    } catch ({ code }) {
      return code;
    } finally {
      await call.hangUp();
    }
  }, [AGENT, token]);
  assert.equal(key, "bad_digits");
  assert.deepEqual(faults.filter((fault) => !fault.includes("127.0.0.1:9")), []);
});

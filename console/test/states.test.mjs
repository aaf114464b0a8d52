// What pages say about calls, providers, hosts and errors.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { load } from "./load.mjs";

const { absent, failoverText, lengthOf, partyOf, phaseOf, titleOf, whyFailed } = await load("callstate.ts");
const { LLM, STT, TTS, withProvider } = await load("catalog.ts");
const { axisTop } = await load("charts.tsx");
const { stageState } = await load("pages/providers.tsx");
const { readHost } = await load("pages/numbers.tsx");
const { plainNumber } = await load("phone.ts");
const { sorted } = await load("pages/doctor.tsx");
const { stepsOf } = await load("pages/welcome.tsx");
const { CARRIERS, PLACEHOLDER } = await load("carriers.ts");
const { latencyOf } = await load("latency.tsx");

const NOW = Date.parse("2026-04-03T12:00:00Z");
const call = (fields) => ({ status: "completed", end_reason: null, answered_at: null, ended_at: null, metrics: null, signalling: null, duration_seconds: null, direction: "inbound", from_number: "+31201234567", to_number: "+31207654321", ...fields });

test("a call that was not answered does not promise figures, and one that rings does not say that nothing was said", () => {
  const unanswered = call({ status: "failed", ended_at: "2026-04-03T11:00:00Z" });
  assert.equal(phaseOf(unanswered, NOW), "unanswered");
  for (const what of ["words", "answers", "figures"]) assert.equal(absent("unanswered", what), "The call was not answered.");
  assert.equal(phaseOf(call({ status: "initiated" }), NOW), "ringing");
  assert.equal(absent("ringing", "words"), "The call has not been answered yet.");
  assert.equal(absent("live", "words"), "Nothing has been said yet.");
  assert.equal(absent("over", "words"), "Nothing was said.");
});

test("figures are waited for a minute and no longer", () => {
  const answered = { answered_at: "2026-04-03T11:58:00Z" };
  assert.equal(phaseOf(call({ ...answered, ended_at: "2026-04-03T11:59:50Z" }), NOW), "settling");
  assert.equal(phaseOf(call({ ...answered, ended_at: "2026-04-03T11:58:30Z" }), NOW), "over");
  assert.equal(absent("over", "figures"), "No figures were recorded.");
});

test("the length of a call that goes on grows", () => {
  const live = call({ status: "in_progress", answered_at: "2026-04-03T11:59:00Z" });
  assert.equal(lengthOf(live, NOW), 60);
  assert.equal(lengthOf(call({ duration_seconds: 12 }), NOW), 12);
  assert.equal(lengthOf(call({ status: "initiated" }), NOW), null);
});

test("a call is named by who it is with", () => {
  assert.equal(titleOf(call({})), "Call from +31201234567");
  assert.equal(titleOf(call({ direction: "outbound" })), "Call to +31207654321");
  assert.equal(titleOf(call({ direction: "web", from_number: "console" })), "Test call");
  assert.equal(partyOf(call({ direction: "web", from_number: "console" })), "Test call");
  assert.equal(titleOf(call({ direction: "web", from_number: "web" })), "Web call");
});

test("a call that failed says why, the carrier's words first", () => {
  const signalling = { problem: null, sip_status: 486, sip_reason: "Busy Here", q850_cause: 17, reason_text: "User busy" };
  assert.deepEqual(whyFailed(call({ status: "failed", signalling })), ["SIP 486 Busy Here", "Q.850 17 User busy"]);
  assert.deepEqual(whyFailed(call({ status: "failed", signalling: { problem: "resolve sip.invalid: no such host" } })), ["resolve sip.invalid: no such host"]);
  assert.deepEqual(whyFailed(call({ status: "failed", metrics: { provider_errors: { llm_timeout: 2 } } })), ["llm timeout (2×)"]);
  assert.deepEqual(whyFailed(call({})), []);
  assert.equal(failoverText({ stage: "llm", from: "openai/a", to: "groq/b", why: "timeout" }), "LLM: openai/a → groq/b (timeout)");
});

test("another provider does not keep the model and the voice of the one before", () => {
  const openai = { provider: "openai", model: "gpt-4o-mini", temperature: 0.2, base_url: "https://llm.example.com", tools: [1] };
  const anthropic = withProvider(openai, "anthropic", LLM);
  assert.deepEqual(anthropic, { provider: "anthropic", model: LLM.anthropic.models[0], temperature: 0.2, tools: [1] });
  assert.deepEqual(withProvider(anthropic, "openai", LLM, openai), openai, "what was set before comes back");
  for (const [offers, block] of [[LLM, openai], [STT, { provider: "deepgram", model: "nova-3-general", language: "en" }], [TTS, { provider: "elevenlabs", voice_id: "x", model: "eleven_v3", language: "en" }]]) {
    for (const name of Object.keys(offers)) {
      const changed = withProvider(block, name, offers);
      assert.notEqual(changed.model, name === block.provider ? undefined : block.model, `${name} keeps ${block.model}`);
      if (offers === TTS) assert.notEqual(changed.voice_id, "x", name);
      if (block.language) assert.equal(changed.language, "en");
    }
  }
});

test("a provider without a key is not one that works", () => {
  const stage = { breaker: "open", failures_in_a_row: 0 };
  assert.equal(stageState("none", stage, undefined), "not configured");
  assert.equal(stageState("none", stage, { ok: true }), "not configured");
  assert.equal(stageState("own", stage, undefined), "untested");
  assert.equal(stageState("server", stage, { ok: true }), "ok");
  assert.equal(stageState("server", stage, { ok: false }), "failed");
  assert.equal(stageState("server", { breaker: "open", failures_in_a_row: 2 }, { ok: true }), "failed");
  assert.equal(stageState("server", { breaker: "closed", failures_in_a_row: 5 }, undefined), "paused");
  assert.equal(stageState("not_needed", { breaker: "waiting", failures_in_a_row: 0 }, undefined), "asked to wait");
});

test("a host is read as people copy it", () => {
  assert.deepEqual(readHost("sip:foo.example.com"), { host: "foo.example.com" });
  assert.deepEqual(readHost(" sips:account@foo.example.com:5061 "), { host: "foo.example.com", port: "5061", transport: "tls" });
  assert.deepEqual(readHost("foo.example.com:5080;transport=TCP"), { host: "foo.example.com", port: "5080", transport: "tcp" });
  assert.deepEqual(readHost("[2001:db8::1]:5060"), { host: "2001:db8::1", port: "5060" });
  assert.deepEqual(readHost("2001:db8::1"), { host: "2001:db8::1" });
  assert.deepEqual(readHost("foo bar"), { host: "foo bar" }, "the server refuses it");
  assert.deepEqual(readHost(""), { host: "" });
});

test("numbers are read as people write them", () => {
  for (const text of ["+1 (555) 0199", "001 555-0199", "+1.555.0199", "+1/555/0199"]) assert.equal(plainNumber(text), "+15550199", text);
  assert.equal(plainNumber("+31 (0)20 123 4567"), "+31 (0)20 123 4567", "the server refuses it");
  assert.equal(plainNumber(" sip:alice@example.com "), "sip:alice@example.com");
});

test("a carrier's preset names what has to be replaced", () => {
  for (const [key, { fields, note }] of Object.entries(CARRIERS)) {
    assert.ok(note.length > 40, key);
    if (/[A-Z]{4}/.test(`${fields.host} ${fields.allowed}`)) assert.match(`${fields.host} ${fields.allowed}`, PLACEHOLDER, key);
  }
  assert.doesNotMatch("sip.telnyx.com", PLACEHOLDER);
});

test("a fresh installation is told what to do next", () => {
  const none = { providers: [{ name: "openai", key: "none" }, { name: "local", key: "not_needed" }], agents: [], calls: 0, trunks: 0, numbers: 0 };
  const doneOf = (found, local) => stepsOf(found, local).filter(({ done }) => done).map(({ id }) => id);
  assert.deepEqual(stepsOf(none).map(({ id }) => id), ["keys", "agent", "call", "trunk", "number", "webhook"]);
  assert.deepEqual(doneOf(none), []);
  assert.deepEqual(doneOf(none, true), ["keys"], "the speech of this server needs no key");
  assert.deepEqual(doneOf({ ...none, providers: [{ name: "openai", key: "own" }], agents: [{ id: "a1", webhook_url: "https://example.com" }], trunks: 1 }), ["keys", "agent", "trunk", "webhook"]);
  assert.deepEqual(doneOf({ ...none, agents: [{ id: "a1", llm_config: { provider: "local" } }] }), ["keys", "agent"]);
});

test("an axis ends at a round number above the highest bar", () => {
  assert.deepEqual([0, 3, 10, 41, 630, 99_000].map(axisTop), [1, 4, 10, 60, 800, 100_000]);
  for (const value of [0.003, 0.3, 1, 7, 1234]) assert.ok(axisTop(value) >= value && axisTop(value) <= value * 2.5, String(value));
});

test("the latency of an answer is shown while the call goes on", () => {
  const turn = (role, started_at_ms, ended_at_ms, is_final = true) => ({ role, started_at_ms, ended_at_ms, is_final });
  const turns = [turn("assistant", 100, 900), turn("user", 1000, 2000), turn("assistant", 2640, 3000), turn("assistant", 3100, 3500)];
  assert.deepEqual(turns.map((_, index) => latencyOf(turns, index)), [null, null, 640, null]);
});

test("every sentence of the pages and the server's usual refusals have their Dutch", async () => {
  const folder = new URL("../src/", import.meta.url);
  const dutch = ["nl.ts", "nl-agent.ts"].map((name) => readFileSync(new URL(name, folder), "utf8")).join("");
  const sources = readdirSync(folder, { recursive: true }).filter((name) => /\.tsx?$/.test(name) && !/^nl/.test(name)).map((name) => readFileSync(new URL(name, folder), "utf8"));
  const keys = sources.flatMap((text) => [...text.matchAll(/\bt\("([^"]+)"\)/g), ...text.matchAll(/new (?:List)?Error\("([^"]+)"\)/g)].map(([, key]) => key));
  const offered = Object.values(CARRIERS).flatMap(({ name, note }) => [name, note]);
  const missing = [...new Set([...keys, ...offered])].filter((key) => !dutch.includes(`  ${JSON.stringify(key)}:`));
  assert.deepEqual(missing, []);
});

test("refusals are said in Dutch, field by field", async () => {
  localStorage.setItem("trunkline.language", "nl");
  const { ApiError, errorText, lineText, loadLanguage, translated } = await load("errors.ts", "api.ts", "i18n.ts");
  await loadLanguage();
  assert.equal(translated("is required"), "is verplicht");
  assert.equal(translated("must have at most 64 characters"), "mag ten hoogste 64 tekens hebben");
  assert.equal(translated("must be between 10 and 14400"), "moet tussen 10 en 14400 liggen");
  assert.equal(translated("Only a pending task can be executed"), "Alleen een wachtende taak kan worden gestart");
  assert.equal(translated("must be an E.164 number such as +31201234567, or a SIP URI"), "moet een nummer met landcode zijn, zoals +31201234567, of een SIP-adres");
  assert.equal(translated("something unheard of"), "something unheard of");
  const refusal = (...faults) => new ApiError(400, "invalid_field", "the server's words", faults[0].field, [], faults);
  const [one, other] = [{ field: "to_number", message: "is required" }, { field: "priority", message: "must be between 1 and 5" }];
  assert.equal(errorText(refusal(one)), "`to_number` is verplicht");
  assert.equal(errorText(refusal(one, other)), "Verbeter deze velden:");
  assert.equal(lineText(refusal(one, other)), "`to_number` is verplicht; `priority` moet tussen 1 en 5 liggen");
  assert.equal(errorText(new ApiError(503, "overloaded", "Too many people log in at once")), "De server is overbelast. Probeer het zo opnieuw.");
  assert.equal(errorText(new Error("The file cannot be read.")), "Het bestand kan niet worden gelezen.");
  assert.equal(lineText(new Error("The server cannot be reached")), "De server is niet bereikbaar");
  localStorage.removeItem("trunkline.language");
});

test("findings that need somebody come first, the worst before the others, in the order of the report", () => {
  const finding = (level, found) => ({ check: "trunks", level, found, advice: null });
  const { open, well } = sorted([finding("ok", "a"), finding("warning", "b"), finding("error", "c"), finding("warning", "d"), finding("error", "e")]);
  assert.deepEqual(open.map(({ found }) => found), ["c", "e", "b", "d"]);
  assert.deepEqual(well.map(({ found }) => found), ["a"]);
});

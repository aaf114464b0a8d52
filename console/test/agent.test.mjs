// The editor of agents: schemas that lose nothing, merges, variables, tokens, and Dutch for each setting.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { load } from "./load.mjs";

const settings = await load("agent/settings.ts");
const { TYPES, fieldsOf, schemaOf, typeOf, withType } = await load("agent/schema.tsx");
const { mergeOf, settled } = await load("diff.ts");
const { piecesOf, tokensOf, variablesOf } = await load("agent/prompt.tsx");
const { TEMPLATES, agentOf } = await load("agent/templates.ts");
const { moved, valueAt, withValue } = await load("agent/values.ts");
const { nlAgent } = await load("nl-agent.ts");
const { nl } = await load("nl.ts");

/** The same numbers every time. */
function dice(seed) {
  let state = seed;
  return (sides) => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state % sides;
  };
}

const PARTS = [
  { type: "string" }, { type: "string", minLength: 2, pattern: "^A" }, { type: "string", enum: ["a", "b"] }, { enum: ["a", 1] }, { type: "number", minimum: 0 }, { type: "integer" }, { type: "boolean", default: true },
  { type: "string", format: "date" }, { type: "string", format: "date-time", description: "When" }, { type: "string", format: "email" }, { type: "array", items: { type: "string" } }, { type: "array", items: { type: "object" }, minItems: 1 },
  { type: ["string", "null"] }, { anyOf: [{ type: "string" }, { type: "null" }] }, { $ref: "#/$defs/x" }, { type: "object", properties: { inner: { type: "string" } }, required: ["inner"] }, {}, { const: 4 }, { type: "string", title: "T", examples: ["x"] },
];

test("a schema that goes through the builder is the same, whatever is in it", () => {
  for (let seed = 1; seed <= 300; seed += 1) {
    const roll = dice(seed);
    const names = Array.from({ length: roll(6) }, (_, index) => `field ${index}`);
    const properties = Object.fromEntries(names.map((name) => [name, PARTS[roll(PARTS.length)]]));
    const required = names.filter(() => roll(2));
    const schema = { ...(roll(2) ? { $schema: "x" } : {}), type: "object", ...(roll(2) ? { title: "T", additionalProperties: false } : {}), properties, ...(required.length ? { required } : {}), ...(roll(2) ? { $defs: { x: { type: "string" } } } : {}) };
    const made = schemaOf(schema, fieldsOf(schema));
    const isEmpty = !names.length && Object.keys(schema).every((name) => ["type", "properties"].includes(name));
    assert.deepEqual(made, isEmpty ? undefined : schema, JSON.stringify(schema));
    assert.equal(JSON.stringify(made), isEmpty ? undefined : JSON.stringify(schema), "in the same order");
  }
});

test("what the builder cannot show stays with JSON, and one change of it leaves the rest alone", () => {
  for (const schema of ["x", 7, [], { type: "array" }, { type: ["object"] }, { type: "object", properties: [] }, { type: "object", properties: { a: true } }, { type: "object", required: "a" }]) assert.equal(fieldsOf(schema), null, JSON.stringify(schema));
  const schema = { type: "object", properties: { a: { type: "string", minLength: 2 }, deep: { type: "object", properties: { b: {} } } }, required: ["elsewhere", "a"] };
  const fields = fieldsOf(schema);
  fields[0] = { ...fields[0], required: false };
  assert.deepEqual(schemaOf(schema, fields), { ...schema, required: ["elsewhere"] });
  assert.deepEqual(withType({ type: "string", minLength: 2, description: "D", title: "T" }, "number"), { type: "number", description: "D", title: "T" });
  for (const [part, type] of [[PARTS[2], "choice"], [PARTS[3], "json"], [PARTS[9], "string"], [PARTS[10], "strings"], [PARTS[11], "json"], [PARTS[12], "json"]]) assert.equal(typeOf(part), type, JSON.stringify(part));
});

test("two changes of one document are merged field by field, and what both have changed is asked", () => {
  const base = { name: "A", greeting: "Hi", llm: { model: "m", temperature: 0.5 }, list: [1, 2], gone: 1 };
  const mine = { name: "Mine", greeting: "Hi", llm: { model: "m2", temperature: 0.5 }, list: [1, 2, 3] };
  const theirs = { name: "Theirs", greeting: "Hello", llm: { model: "m", temperature: 0.9 }, list: [0], gone: 1, fresh: true };
  const merge = mergeOf(base, mine, theirs);
  assert.deepEqual(merge.clashes.map(({ path }) => path), ["name", "list"]);
  assert.deepEqual(merge.merged, { name: "Mine", greeting: "Hello", llm: { model: "m2", temperature: 0.9 }, list: [1, 2, 3], fresh: true });
  assert.deepEqual([merge.onlyMine, merge.onlyTheirs], [["llm.model", "gone"], ["greeting", "llm.temperature", "fresh"]]);
  assert.deepEqual(settled(merge, new Set(["list"])).list, [0]);
  assert.deepEqual(settled(merge, new Set(["name", "list"])).name, "Theirs");
  // Who removed a part that the other has changed is asked too.
  const removed = mergeOf({ a: { b: 1 } }, {}, { a: { b: 2 } });
  assert.deepEqual(removed.clashes.map(({ path }) => path), ["a"]);
  assert.deepEqual(settled(removed, new Set(["a"])), { a: { b: 2 } });
  const both = mergeOf({ a: 1 }, { a: 2 }, { a: 2 });
  assert.deepEqual([both.merged, both.clashes], [{ a: 2 }, []]);
});

test("variables are found where they stand, and those that are never closed too", () => {
  assert.deepEqual(variablesOf("Hi {{ name|there }}, {{date}} {{name}}"), ["name", "date"]);
  assert.deepEqual(piecesOf("a {{b}} c").map(({ kind }) => kind), ["text", "variable", "text"]);
  for (const text of ["{{", "x {{}} y", "{{|default}}", "{{name"]) assert.ok(piecesOf(text).some(({ kind }) => kind === "broken"), text);
  for (const text of ["", "plain", "{single}", "}}"]) assert.ok(piecesOf(text).every(({ kind }) => kind === "text"), text);
  for (const text of ["a {{b}} c", "{{", "x{{}}y", "{{a}}{{b}}"]) assert.equal(piecesOf(text).map((piece) => piece.text).join(""), text);
  assert.equal(piecesOf("{{".repeat(20_000)).length, 20_000, "a hostile text is read in time");
});

test("tokens are estimated within a third of what vendors count", () => {
  const counted = [["Hello, how can I help you today?", 9], ["You are the receptionist of a dental practice in Utrecht.", 12], ["Goedemorgen, u spreekt met de praktijk.", 12], ["2026-11-29T10:45", 10], ["注文番号を教えてください。", 11], ["", 0]];
  for (const [text, count] of counted) assert.ok(Math.abs(tokensOf(text) - count) <= Math.max(2, count * 0.34), `${text}: ${tokensOf(text)} for ${count}`);
});

test("a value is put at its place, and what is empty then goes", () => {
  assert.deepEqual(withValue({ a: { b: 1, c: 2 } }, "a.b", undefined), { a: { c: 2 } });
  assert.deepEqual(withValue({ a: { b: 1 }, x: 1 }, "a.b", undefined), { x: 1 });
  assert.deepEqual(withValue({ tools: { hold: {} } }, "tools.hold", {}, "tools.hold"), { tools: { hold: {} } });
  assert.deepEqual(withValue({ a: null }, "a.b.c", 0), { a: { b: { c: 0 } } });
  assert.equal(valueAt({ a: null }, "a.b"), undefined);
  assert.deepEqual([moved([1, 2, 3], 2, 0), moved([1, 2, 3], 0, 2)], [[3, 1, 2], [2, 3, 1]]);
});

test("every setting has its Dutch, and no place is there twice", () => {
  const words = (one) => [one.label, one.hint, one.entry, typeof one.standard === "string" && one.standard.startsWith("=") ? one.standard.slice(1) : "", ...(one.kind === "words" ? [] : (one.options ?? []).flatMap(([key, name]) => (key === name ? [] : [name]))), ...(one.items ?? []).flatMap(words)];
  const { SECTIONS, PRESETS, ...lists } = settings;
  const all = [...SECTIONS.flatMap(({ title, about, settings }) => [title, about, ...settings.flatMap(words)]), ...Object.values(lists).filter((one) => Array.isArray(one) && one[0]?.path).flat().flatMap(words), ...words(settings.TOOL_PROGRESS), ...PRESETS.flatMap(([, title, about]) => [title, about]), ...TYPES.map(([, name]) => name)].filter(Boolean);
  assert.ok(all.length > 300);
  assert.deepEqual([...new Set(all)].filter((text) => !(text in nlAgent) && !(text in nl)), []);
  const places = SECTIONS.flatMap(({ settings }) => settings.map(({ path }) => path));
  assert.deepEqual(places.filter((path, index) => places.indexOf(path) !== index), []);
});

test("the numbers of the editor have the limits of the API", () => {
  const { components } = JSON.parse(readFileSync(new URL("../../fixtures/api/openapi.snap", import.meta.url), "utf8").replace(/^---.*?---\n/s, ""));
  const limits = new Map();
  for (const { properties } of Object.values(components.schemas)) {
    for (const [name, { minimum, maximum, oneOf }] of Object.entries(properties ?? {})) if (minimum !== undefined || maximum !== undefined || oneOf) limits.set(name, [...(limits.get(name) ?? []), [minimum, maximum]]);
  }
  const numbers = (one) => [...(one.kind === "number" ? [one] : []), ...(one.items ?? []).flatMap(numbers)];
  const { SECTIONS, ...lists } = settings;
  const all = [...SECTIONS.flatMap((section) => section.settings), ...Object.values(lists).filter((one) => Array.isArray(one) && one[0]?.path).flat(), settings.TOOL_PROGRESS].flatMap(numbers);
  assert.ok(all.length > 30);
  const wrong = all.filter(({ path, min, max }) => !(limits.get(path.split(".").at(-1)) ?? []).some(([least, most]) => least === min && most === max));
  assert.deepEqual(wrong.map(({ path, min, max }) => [path, min, max, ...(limits.get(path.split(".").at(-1)) ?? [])]), []);
});

test("the Dutch of the editor addresses people as the rest of the console does", () => {
  const source = readFileSync(new URL("../src/nl-agent.ts", import.meta.url), "utf8");
  assert.doesNotMatch(source, /": ".*\b(je|jij|jouw|jullie)\b/i);
});

test("a template is a whole agent in both languages, whatever keys there are", () => {
  const providers = (...names) => ["openai", "anthropic", "deepgram", "elevenlabs", "local"].map((name) => ({ name, key: names.includes(name) ? "own" : name === "local" ? "not_needed" : "none" }));
  const answers = { business: "Shop", language: "en", person: "+31201234567", orders: "https://example.com/orders" };
  for (const name of Object.keys(TEMPLATES)) {
    for (const language of ["en", "nl"]) {
      const whole = agentOf(name, { ...answers, language }, providers("anthropic", "deepgram", "elevenlabs"));
      assert.deepEqual([whole.llm_config.provider, whole.stt_config.provider, whole.tts_config.provider], ["anthropic", "deepgram", "elevenlabs"]);
      assert.match(`${whole.first_message} ${whole.system_prompt}`, /Shop.*Shop/s);
      assert.ok(whole.analysis_plan.structured_data_plan && whole.analysis_plan.success_criteria, name);
      const rules = agentOf(name, { ...answers, language }, providers());
      assert.deepEqual([rules.llm_config.provider, rules.tts_config.provider, rules.system_prompt], ["local", "local", undefined], name);
    }
    for (const text of [TEMPLATES[name].title, TEMPLATES[name].about]) assert.ok(text in nlAgent || text in nl, text);
  }
  const orders = (more) => agentOf("orders", { ...answers, ...more }, providers("openai"));
  assert.deepEqual([orders({}).llm_config.tools[0].url, orders({ orders: "" }).llm_config.tools], ["https://example.com/orders", undefined]);
  assert.equal(agentOf("receptionist", { ...answers, person: "" }, providers("openai")).transfer_config, undefined);
});

// Nothing is made twice, and nothing that was typed is lost: imports, drafts, versions.

import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

const { importLines, patiently } = await load("import.ts");
const { forgetDrafts, keepDraftsOf, readDraft, writeDraft } = await load("drafts.ts");
const { changedFields, differences, same } = await load("diff.ts");
const { readRoute } = await load("router.ts");
const csv = await load("csv.ts");

const refused = (status, retryAfterSeconds = 0) => Object.assign(new Error(`refused with ${status}`), { status, retryAfterSeconds });
const at_once = async () => {};

test("a second import sends the lines that failed, and no other", async () => {
  const sent = [];
  const send = async (line) => {
    sent.push(line);
    if (line === 3 && sent.filter((one) => one === 3).length === 1) throw refused(400);
  };
  const first = await importLines([2, 3, 4], new Set(), send, () => {});
  assert.deepEqual([[...first.taken].sort(), first.faults.map(({ line }) => line)], [[2, 4], [3]]);
  const second = await importLines([2, 3, 4], first.taken, send, () => {});
  assert.deepEqual(sent, [2, 3, 4, 3]);
  assert.equal(second.taken.size, 3);
});

test("an import that loses the server keeps what was taken and stops", async () => {
  let state = { taken: new Set(), faults: [] };
  const sent = [];
  const send = async (line) => {
    sent.push(line);
    if (sent.length > 5) throw refused(0);
  };
  const lines = Array.from({ length: 100 }, (_, index) => index + 2);
  await assert.rejects(importLines(lines, new Set(), send, (now) => (state = now), at_once), { status: 0 });
  assert.equal(state.taken.size, 5);
  assert.equal(state.faults.length, 0, "a lost connection is no fault of a line");
  assert.ok(sent.length < 12, `${sent.length} lines were sent to a server that is away`);
});

test("a busy server is asked again after the pause that it wants", async () => {
  const pauses = [];
  let tries = 0;
  const answer = await patiently(async () => {
    tries += 1;
    if (tries < 3) throw refused(429, tries);
    return "made";
  }, async (ms) => void pauses.push(ms));
  assert.deepEqual([answer, pauses], ["made", [1000, 2000]]);
  await assert.rejects(patiently(async () => { throw refused(503); }, at_once), { status: 503 });
  await assert.rejects(patiently(async () => { throw refused(400); }, async () => assert.fail("waited for a refusal")), { status: 400 });
});

test("a draft outlives its page, and another person does not read it", () => {
  keepDraftsOf("ann");
  writeDraft("agent.1", { fields: { name: "Reception" } });
  assert.deepEqual(readDraft("agent.1"), { fields: { name: "Reception" } });
  keepDraftsOf("ann");
  assert.ok(readDraft("agent.1"), "the same person logs in again");
  keepDraftsOf("bob");
  assert.equal(readDraft("agent.1"), null);
  writeDraft("agent.2", { a: 1 });
  writeDraft("agent.2", null);
  assert.equal(readDraft("agent.2"), null);
  writeDraft("agent.3", { a: 1 });
  forgetDrafts();
  assert.equal(readDraft("agent.3"), null);
  sessionStorage.setItem("trunkline.draft.broken", "{");
  assert.equal(readDraft("broken"), null);
});

test("what changed between two versions is shown field by field", () => {
  const before = { name: "A", llm_config: { model: "x", tools: [1, 2] }, gone: 1 };
  const after = { name: "A", llm_config: { tools: [1, 3], model: "y" }, came: "z" };
  assert.deepEqual(differences(before, after), [
    { path: "llm_config.model", before: "x", after: "y" },
    { path: "llm_config.tools[1]", before: "2", after: "3" },
    { path: "gone", before: "1", after: "" },
    { path: "came", before: "", after: "z" },
  ]);
  assert.deepEqual(changedFields(before, after), { llm_config: after.llm_config, gone: null, came: "z" });
  assert.ok(same({ a: 1, b: null }, { a: 1 }), "null and a field that is left out are the same");
});

test("filters and page of a list stand in its address", () => {
  const route = readRoute("#/calls?status=failed&page=3");
  assert.deepEqual([route.parts, route.params.get("status"), route.params.get("page")], [["calls"], "failed", "3"]);
  assert.deepEqual(readRoute("#/calls/%E0%A4%A").parts, ["calls", "%E0%A4%A"], "a link that was cut off");
});

test("a list that is exported opens in spreadsheets, which compute nothing of it", () => {
  const text = csv.write(["number", "summary"], [["+31201234567", "=HYPERLINK(\"http://x\")"], ["@cmd", 'said "no", and hung up\n'], [null, "-1.5"]]);
  assert.equal(text, '\uFEFFnumber,summary\r\n+31201234567,"\'=HYPERLINK(""http://x"")"\r\n\'@cmd,"said ""no"", and hung up\n"\r\n,-1.5\r\n');
  assert.deepEqual(csv.parse(text)[1][0], "+31201234567");
});

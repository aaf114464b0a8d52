// Ten jobs that somebody has who has never seen the console: from a first conversation to last night's failed calls. Each
// ends with what a person would look for. Then what goes wrong in the middle of work.

import assert from "node:assert/strict";
import fs from "node:fs";
import { after, before, beforeEach, test } from "node:test";
import { AGENT, BASE, PASSWORD, accessibility, api, browser, logIn, microphone, open, page, shot, until } from "./support.mjs";

let chromium;
let at;
let faults;
before(async () => {
  chromium = await browser(microphone("job-microphone.wav", 120, []));
  ({ page: at, faults } = await page(chromium));
  await logIn(at);
});
after(() => chromium.close());

const dialog = () => at.getByRole("dialog");
// A job that failed leaves no dialog to the next one.
beforeEach(() => at.goto(`${BASE}/`).then(() => at.getByRole("heading", { name: "Overview" }).waitFor()));

async function looked(name) {
  await shot(at, `job-${name}`);
  assert.deepEqual(await accessibility(at), [], name);
  assert.deepEqual(faults.splice(0), [], name);
}

const chatWords = () => at.getByRole("list", { name: "Chat" });
const ended = (id) => until("the end of the call", async () => {
  const { call } = await api("GET", `/calls/${id}`);
  return call.ended_at && call;
});

test("1. I want to see what an agent says before anybody calls it: a chat", async () => {
  await open(at, `#/agents/${AGENT}`, /./);
  const message = at.getByLabel("Your message");
  await message.fill("What are your opening hours?");
  await message.press("Enter");
  await chatWords().getByText("What are your opening hours?").waitFor();
  const answer = chatWords().locator("li.assistant:not(.thinking)").nth(1);
  await answer.waitFor();
  assert.match(await answer.locator(".ms").textContent(), /^[\d,.]+ ms$/, "how long the answer took");
  assert.equal(await message.inputValue(), "", "what was sent is gone from the field");
  assert.ok(await message.evaluate((field) => field === document.activeElement), "the next message can be typed");
  await looked("chat");
  const { calls } = await api("GET", "/calls?direction=chat&limit=1");
  await at.getByRole("button", { name: "End the chat" }).click();
  await at.getByText("The chat is over").waitFor();
  const call = await ended(calls[0].id);
  assert.deepEqual([call.direction, call.end_reason, call.metrics.characters_spoken], ["chat", "ended_by_api", 0]);
  await at.getByRole("link", { name: "The whole chat" }).click();
  await at.getByRole("heading", { level: 1, name: "Text chat" }).waitFor();
  await at.getByText("in writing").waitFor();
  await looked("chat-page");
});

test("2. I want to hear it: a first call from the browser", async () => {
  await open(at, `#/agents/${AGENT}`, /./);
  await at.getByRole("button", { name: "Call with the microphone" }).click();
  await at.locator(".callstate", { hasText: "connected" }).waitFor();
  await at.getByRole("list", { name: "Live transcript" }).locator("li.assistant").first().waitFor();
  await at.getByRole("button", { name: "Hang up" }).click();
  await at.locator(".callstate", { hasText: "ended" }).waitFor();
  await at.getByRole("link", { name: "The whole call" }).or(at.getByText("Click to first sound")).first().waitFor();
});

test("3. I want it to say something else, and to take that back if it was worse", async () => {
  await open(at, `#/agents/${AGENT}`, /./);
  const greeting = at.getByLabel("Greeting");
  const before = await greeting.inputValue();
  await greeting.fill("Hello, this is the new greeting.");
  await at.getByRole("button", { name: "Save" }).click();
  await at.getByText("Saved", { exact: true }).waitFor();
  await at.getByRole("button", { name: "Let the agent begin" }).click();
  await chatWords().getByText("Hello, this is the new greeting.").waitFor();
  await at.getByRole("button", { name: "End the chat" }).click();
  await greeting.fill(before);
  await at.getByRole("button", { name: "Save" }).click();
  await at.getByText("Saved", { exact: true }).waitFor();
  assert.equal((await api("GET", `/agents/${AGENT}`)).agent.first_message, before);
});

test("4. I want my own number to be answered by it", async () => {
  await open(at, "#/numbers", "Phone numbers and trunks");
  await at.getByRole("button", { name: "New trunk" }).click();
  await dialog().getByLabel("Carrier").selectOption({ index: 1 });
  assert.notEqual(await dialog().getByLabel("Host").inputValue(), "", "the preset fills what it knows");
  await dialog().getByLabel("Name", { exact: true }).fill("Our carrier");
  await dialog().getByLabel("Host").fill("127.0.0.1");
  await looked("trunk");
  await dialog().getByRole("button", { name: "Create" }).click();
  await dialog().waitFor({ state: "detached" });
  await at.getByRole("button", { name: "New number" }).click();
  await dialog().getByLabel("Number", { exact: true }).fill("+31 20 123 45 99");
  await dialog().getByLabel("Answered by").selectOption(AGENT);
  await dialog().getByRole("button", { name: "Create" }).click();
  await dialog().waitFor({ state: "detached" });
  await at.getByText("+31201234599").first().waitFor();
  const { phone_numbers } = await api("GET", "/phone-numbers?limit=100");
  assert.equal(phone_numbers.find(({ number }) => number === "+31201234599").agent_id, AGENT);
});

test("5. I want a customer called now, and to see what came of it", async () => {
  await open(at, "#/tasks", "Tasks");
  await at.getByRole("button", { name: "New task" }).click();
  await dialog().getByLabel("Name", { exact: true }).fill("Call back Mrs Jansen");
  await dialog().getByLabel("Number", { exact: true }).fill("+1 (555) 0161");
  await dialog().getByLabel("Call now").check();
  await dialog().getByRole("button", { name: "Call now" }).click();
  await dialog().waitFor({ state: "detached" });
  const row = at.getByRole("row", { name: /Call back Mrs Jansen/ });
  await row.getByRole("link", { name: /^Calls/ }).click();
  await at.getByText("Only calls of one task.").waitFor();
  await at.locator("tbody a").first().click();
  await at.getByRole("heading", { level: 1, name: "Call to +15550161" }).waitFor();
  const id = at.url().split("/").at(-1).split("?")[0];
  // Somebody may have answered and hung up by now.
  await api("POST", `/calls/${id}/end`).catch(() => {});
  const { end_reason } = await ended(id);
  await at.getByText(end_reason.replaceAll("_", " ")).first().waitFor();
});

test("6. I want a list of people called, see how far it is, stop it, and hand the result on", async () => {
  await open(at, "#/tasks", "Tasks");
  await at.getByRole("button", { name: "Import CSV" }).click();
  const list = "number;name;order\n+15550162;Jan;A-17\n+15550163;Kim;B-4\n";
  await dialog().getByLabel("File").setInputFiles({ name: "list.csv", mimeType: "text/csv", buffer: Buffer.from(list) });
  await dialog().getByLabel("Name of the batch").fill("Reminders of November");
  await dialog().getByRole("button", { name: "Import 2" }).click();
  await dialog().getByText("2 of 2 imported").waitFor();
  await dialog().getByRole("button", { name: "Done" }).click();
  await dialog().waitFor({ state: "detached" });
  await open(at, "#/batches", "Batches");
  await at.getByRole("link", { name: "Reminders of November" }).click();
  await at.getByRole("heading", { name: "Reminders of November" }).waitFor();
  await at.getByRole("button", { name: "Start" }).click();
  await dialog().getByText(/Call these numbers now/).waitFor();
  await dialog().getByRole("button", { name: "Start" }).click();
  await dialog().waitFor({ state: "detached" });
  const batch = new URLSearchParams(at.url().split("?")[1]).get("batch");
  const calls = await until("both calls", async () => {
    const { calls } = await api("GET", `/calls?batch_id=${batch}&fields=id,task_id,status`);
    return calls.length === 2 && calls;
  });
  assert.deepEqual(Object.keys(calls[0]).sort(), ["id", "status", "task_id"]);
  await at.getByRole("button", { name: "Pause" }).first().click();
  for (const { id } of calls) await api("POST", `/calls/${id}/cancel`).catch(() => {});
  await at.getByRole("list", { name: "Calls by outcome" }).getByRole("link").first().waitFor();
  await looked("batch");
  const file = at.waitForEvent("download");
  await at.getByRole("button", { name: "Export CSV" }).click();
  const rows = fs.readFileSync(await (await file).path(), "utf8").trim().split("\r\n");
  assert.match(rows[0], /^batch,task_id,name,to_number,status/);
  assert.equal(rows.length, 3);
  assert.ok(rows.slice(1).every((row) => /^Reminders of November,.*,(canceled|[a-z_]+_hung_up),.*order/.test(row)), rows.join("\n"));
  // Many at once.
  await open(at, "#/batches", "Batches");
  await at.getByLabel("Select: Reminders of November").check();
  await looked("batches");
  await at.getByRole("button", { name: "Delete (1)" }).click();
  await dialog().getByRole("button", { name: "Delete" }).click();
  await at.getByRole("link", { name: "Reminders of November" }).waitFor({ state: "detached" });
});

test("7. Somebody does not want to be called any more", async () => {
  await open(at, "#/do-not-call", "Do not call");
  await at.getByRole("button", { name: "Add numbers" }).click();
  await dialog().getByLabel("Numbers").fill("+1 (555) 0171\n0031201234500");
  await dialog().getByLabel("Reason").fill("Asked on the phone");
  await dialog().getByRole("button", { name: "Add", exact: true }).click();
  await at.getByRole("cell", { name: "+15550171", exact: true }).waitFor();
  await looked("do-not-call");
  await open(at, "#/tasks", "Tasks");
  await at.getByRole("button", { name: "New task" }).click();
  await dialog().getByLabel("Number", { exact: true }).fill("+15550171");
  await dialog().getByRole("button", { name: "Create" }).click();
  await dialog().getByText(/do.not.call/i).waitFor();
  await at.keyboard.press("Escape");
  await dialog().getByRole("button", { name: "Discard" }).click();
  // The list is longer than a page.
  await api("POST", "/do-not-call", { numbers: Array.from({ length: 60 }, (_, n) => `+3120123${String(5000 + n)}`) });
  await open(at, "#/do-not-call", "Do not call");
  await at.getByText(/of 62/).waitFor();
  await at.getByRole("button", { name: "Next" }).click();
  await at.getByText(/26–50/).waitFor();
  assert.equal(await at.getByRole("alert").count(), 0);
});

test("8. Why did last night's calls fail?", async () => {
  const { task } = await api("POST", "/tasks", { agent_id: AGENT, to_number: "+15550166", name: "Fails" });
  const { call_id } = await api("POST", `/tasks/${task.id}/execute`);
  await api("POST", `/calls/${call_id}/cancel`);
  await ended(call_id);
  await open(at, "#/calls", "Calls");
  await at.getByLabel("Status").selectOption("failed");
  await at.getByLabel("From date").fill(new Date(Date.now() - 86_400_000).toISOString().slice(0, 10));
  await until("the filters in the address", () => /status=failed/.test(at.url()) && /from=/.test(at.url()));
  await at.getByRole("cell", { name: "canceled" }).first().waitFor();
  await at.locator("tbody a").first().click();
  const why = at.locator(".why strong");
  await why.waitFor();
  assert.match(await why.textContent(), /^The call failed: \S/, "the first line says why");
  await looked("why");
});

test("9. A call goes wrong while I watch: I listen, and help", async () => {
  await open(at, `#/agents/${AGENT}`, /./);
  await at.getByRole("button", { name: "Call with the microphone" }).click();
  await at.getByRole("list", { name: "Live transcript" }).locator("li.assistant").first().waitFor();
  const desk = await page(chromium);
  await logIn(desk.page);
  await desk.page.getByRole("link", { name: /^Steer/ }).first().click();
  await desk.page.getByRole("button", { name: "Listen", exact: true }).click();
  await desk.page.getByText("You hear both sides. The caller does not hear you.").waitFor();
  await desk.page.getByLabel("Let the agent say").fill("Somebody is coming to help you with your parcel.");
  await desk.page.getByLabel("Interrupt the agent").check();
  await desk.page.getByRole("button", { name: "Say", exact: true }).click();
  const heard = await until("the agent's voice at the desk", () => desk.page.evaluate(async () => {
    const reports = [...(await window.peers.at(-1).getStats()).values()];
    const inbound = reports.find(({ type }) => type === "inbound-rtp");
    const outbound = reports.find(({ type }) => type === "outbound-rtp");
    return inbound?.totalAudioEnergy > 0.0001 && { energy: inbound.totalAudioEnergy, sent: outbound?.packetsSent ?? 0 };
  }));
  assert.equal(heard.sent, 0, "nothing goes from the desk to the call");
  await shot(desk.page, "job-listen");
  assert.deepEqual(await accessibility(desk.page), []);
  await desk.page.getByRole("button", { name: "Stop listening" }).click();
  await desk.page.getByRole("button", { name: "Listen", exact: true }).waitFor();
  await desk.page.getByRole("button", { name: "End the call" }).click();
  await at.locator(".callstate", { hasText: "ended" }).waitFor();
  assert.deepEqual(desk.faults, []);
  await desk.context.close();
  await open(at, "#/audit", "Audit log");
  await at.getByText("call.listen").first().waitFor();
});

test("10. A program and a colleague need access, and no more than they need", async () => {
  await open(at, "#/keys", "API keys");
  await at.getByRole("button", { name: "New key" }).click();
  await dialog().getByLabel("Name", { exact: true }).fill("Reporting");
  await dialog().getByLabel("Full access").uncheck();
  await dialog().getByLabel("calls:read").check();
  await dialog().getByRole("button", { name: "Create" }).click();
  const key = await at.getByText(/^va_[0-9a-f]{20,}/).first().textContent();
  const asked = (path, method = "GET") => fetch(`${BASE}/v1${path}`, { method, headers: { Authorization: `Bearer ${key.trim()}`, "Content-Type": "application/json" }, body: method === "POST" ? JSON.stringify({ agent_id: AGENT }) : undefined });
  assert.deepEqual([(await asked("/calls")).status, (await asked("/agents")).status, (await asked("/calls/chat", "POST")).status], [200, 403, 403]);
  await open(at, "#/people", "People");
  await at.getByRole("button", { name: "Invite" }).click();
  await dialog().getByLabel("E-mail").fill("new-colleague@example.com");
  await dialog().getByRole("button", { name: "Invite" }).click();
  await at.getByText(/#\/invitation\//).waitFor();
});

/** What people paste, and what nobody would. */
const HOSTILE = [
  ["markup", "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"],
  ["emoji", "👩‍👩‍👧‍👦 Ça va? 你好 🏳️‍🌈"],
  ["right to left", "\u202Eשלום עולם\u202C مرحبا"],
  ["zero bytes", "a\u0000b\u0001c\u200B\uFEFF"],
  ["half a character", "broken \uD83D surrogate"],
  ["long", "x".repeat(5_000)],
  ["formula", "=HYPERLINK(\"http://example.com\")"],
];

test("forms take anything that is pasted, or say what is wrong with it", async () => {
  for (const [name, text] of HOSTILE) {
    // A chat: what is refused stays in the field.
    await open(at, `#/agents/${AGENT}`, /./);
    await at.getByLabel("Your message").fill(text);
    await at.getByRole("button", { name: "Send" }).click();
    await until(`the ${name} in the chat or a refusal`, async () => (await chatWords().locator("li.user").count()) > 0 || (await at.getByRole("alert").count()) > 0);
    if (await at.getByRole("button", { name: "End the chat" }).count()) await at.getByRole("button", { name: "End the chat" }).click();
    // A task: as its name.
    await open(at, "#/tasks", "Tasks");
    await at.getByRole("button", { name: "New task" }).click();
    await dialog().getByLabel("Name", { exact: true }).fill(text);
    await dialog().getByLabel("Number", { exact: true }).fill("+15550164");
    await dialog().getByRole("button", { name: "Create" }).click();
    await until(`an answer to ${name}`, async () => (await dialog().count()) === 0 || (await dialog().getByRole("alert").count()) > 0);
    if (await dialog().count()) {
      const said = await dialog().getByRole("alert").first().textContent();
      assert.match(said, /name/, `the refusal of ${name} names the field: ${said}`);
      assert.doesNotMatch(said, /internal|500|panick/i);
      assert.notEqual(await dialog().getByLabel("Name", { exact: true }).inputValue(), "", "what was typed is still there");
      await at.keyboard.press("Escape");
      await dialog().getByRole("button", { name: "Discard" }).click();
    }
    await until(`the list after ${name}`, () => at.evaluate(() => !document.querySelector("main .loading")));
    assert.doesNotMatch(await at.title(), /owned/);
    assert.ok(await at.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${name} makes the page no wider`);
  }
  const { tasks } = await api("GET", "/tasks?limit=100&fields=id,name,to_number");
  for (const task of tasks.filter(({ to_number }) => to_number === "+15550164")) await api("DELETE", `/tasks/${task.id}`);
  assert.deepEqual(faults.splice(0), []);
});

test("files that are no list are refused in words", async () => {
  await open(at, "#/tasks", "Tasks");
  await at.getByRole("button", { name: "Import CSV" }).click();
  const files = [
    ["picture.png", Buffer.from("89504e470d0a1a0a0000000d49484452", "hex")],
    ["sheet.xlsx", Buffer.concat([Buffer.from("504b0304", "hex"), Buffer.alloc(300)])],
    ["empty.csv", Buffer.alloc(0)],
    ["page.html", Buffer.from("<html><body><table><tr><td>+15550101</td></tr></table></body></html>")],
  ];
  for (const [name, buffer] of files) {
    await dialog().getByLabel("File").setInputFiles({ name, mimeType: "text/csv", buffer });
    await until(`a word about ${name}`, async () => (await dialog().getByRole("alert").count()) > 0);
    assert.notEqual((await dialog().getByRole("alert").first().textContent()).trim(), "", name);
  }
  await at.keyboard.press("Escape");
  await until("the dialog gone", async () => {
    const discard = dialog().getByRole("button", { name: "Discard" });
    if (await discard.count()) await discard.click();
    return (await dialog().count()) === 0;
  });
});

test("the network goes in the middle of an edit, and nothing is lost", async () => {
  await open(at, `#/agents/${AGENT}`, /./);
  await at.getByLabel("Greeting").fill("Typed while the network was there.");
  await at.getByLabel("Your message").fill("Are you there?");
  await at.context().setOffline(true);
  await at.getByRole("button", { name: "Save" }).click();
  await at.getByText("The server cannot be reached").first().waitFor();
  await at.getByRole("button", { name: "Send" }).click();
  await until("a word about the message", async () => (await at.getByText("The server cannot be reached").count()) > 1);
  assert.equal(await at.getByLabel("Greeting").inputValue(), "Typed while the network was there.");
  assert.equal(await at.getByLabel("Your message").inputValue(), "Are you there?");
  await at.context().setOffline(false);
  await at.getByRole("button", { name: "Send" }).click();
  await chatWords().getByText("Are you there?").waitFor();
  await at.getByRole("button", { name: "End the chat" }).click();
  await at.getByRole("button", { name: "Discard changes" }).click();
  await dialog().getByRole("button", { name: "Discard changes" }).click();
  faults.splice(0);
});

test("the session ends in the middle of a form, and what was typed is still there", async () => {
  await open(at, "#/tasks", "Tasks");
  await at.getByRole("button", { name: "New task" }).click();
  await dialog().getByLabel("Name", { exact: true }).fill("Typed before the session ended");
  await dialog().getByLabel("Number", { exact: true }).fill("+15550165");
  await at.context().clearCookies();
  await dialog().getByRole("button", { name: "Create" }).click();
  const door = at.getByRole("dialog", { name: "Your session has ended" });
  await door.getByLabel("Password").fill(PASSWORD);
  await door.getByRole("button", { name: "Log in" }).click();
  await door.waitFor({ state: "detached" });
  assert.equal(await dialog().getByLabel("Name", { exact: true }).inputValue(), "Typed before the session ended");
  await dialog().getByRole("button", { name: "Create" }).click();
  await dialog().waitFor({ state: "detached" });
  await at.getByRole("cell", { name: "Typed before the session ended", exact: true }).waitFor();
});

test("two people edit one agent: neither overwrites the other", async () => {
  const other = await page(chromium);
  await logIn(other.page);
  await open(at, `#/agents/${AGENT}`, /./);
  await open(other.page, `#/agents/${AGENT}`, /./);
  await at.getByLabel("Business").fill("From the first");
  await other.page.getByLabel("Greeting").fill("From the second.");
  await at.getByRole("button", { name: "Save" }).click();
  await at.getByText("Saved", { exact: true }).waitFor();
  await other.page.getByRole("button", { name: "Save" }).click();
  await other.page.getByRole("button", { name: "Load the other version" }).waitFor();
  assert.equal(await other.page.getByLabel("Greeting").inputValue(), "From the second.", "nothing is lost before somebody chooses");
  await other.page.getByRole("button", { name: "Save mine anyway" }).click();
  await other.page.getByRole("dialog").getByRole("button", { name: "Save mine anyway" }).click();
  await other.page.getByText("Saved", { exact: true }).waitFor();
  const { agent } = await api("GET", `/agents/${AGENT}`);
  assert.deepEqual([agent.business_name, agent.first_message], ["From the first", "From the second."], "only what each has changed");
  await api("PATCH", `/agents/${AGENT}`, { first_message: "Good morning, this is Acme." });
  await other.context.close();
});

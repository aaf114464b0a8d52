// Every page of the console: opened, its main action done, looked at, and judged by axe.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { AGENT, BASE, EMAIL, PASSWORD, accessibility, api, browser, logIn, open, page, shot, until } from "./support.mjs";

let chromium;
let at;
let faults;
before(async () => {
  chromium = await browser();
  ({ page: at, faults } = await page(chromium));
});
after(() => chromium.close());

/** Every page is looked at once its main action is done. */
async function looked(name) {
  await shot(at, name);
  assert.deepEqual(await accessibility(at), [], name);
  assert.deepEqual(faults.splice(0), [], name);
}

const dialog = () => at.getByRole("dialog");

test("log in: a wrong password is refused, the right one opens the overview", async () => {
  await at.goto(`${BASE}/`);
  await at.getByLabel("E-mail").fill(EMAIL);
  await at.getByLabel("Password").fill("not the password");
  await at.getByRole("button", { name: "Log in" }).click();
  await at.getByRole("alert").waitFor();
  await looked("login");
  await at.getByLabel("Password").fill(PASSWORD);
  await at.getByRole("button", { name: "Log in" }).click();
  await at.getByRole("heading", { name: "Overview" }).waitFor();
  await at.getByText("No active calls.").waitFor();
  await looked("overview");
});

test("agents: made in the form, changed as JSON, taken back", async () => {
  await open(at, "#/agents", "Agents");
  await looked("agents");
  await at.getByRole("button", { name: "New agent" }).click();
  await at.getByRole("heading", { name: "New agent" }).waitFor();
  await at.getByLabel("Name", { exact: true }).fill("Reception");
  await at.getByLabel("Greeting").fill("Good day, reception.");
  await at.getByLabel("Instructions").fill("Put callers through.");
  await looked("agent-new");
  await at.getByRole("button", { name: "Create" }).click();
  await at.getByRole("heading", { name: "Reception" }).waitFor();
  await at.getByLabel("Greeting").fill("Good evening, reception.");
  await at.locator("summary", { hasText: "Transfers" }).click();
  await at.getByRole("button", { name: "Add: Destination" }).click();
  await at.getByLabel("Name of the destination").fill("billing");
  await at.getByLabel("Number or SIP address").fill("+31201234567");
  await at.getByLabel("SIP headers").pressSequentially("X-Queue: vip\nX-Step: 2");
  await at.getByLabel("Passes the caller's User-to-User header on").check();
  await at.getByRole("button", { name: "Save" }).click();
  await at.getByText("Saved", { exact: true }).waitFor();
  await looked("agent");
  await at.getByRole("tab", { name: "JSON" }).click();
  const document = at.getByLabel("The agent as JSON");
  const agent = JSON.parse(await document.inputValue());
  assert.equal(agent.first_message, "Good evening, reception.");
  const billing = { name: "billing", target: "+31201234567", headers: { "X-Queue": "vip", "X-Step": "2" }, pass_user_to_user: true };
  assert.deepEqual(agent.transfer_config.destinations, [billing]);
  await document.fill("{ not json");
  await at.getByRole("button", { name: "Save" }).click();
  await at.getByText("The JSON has an error: correct it before you save.").waitFor();
  await document.fill(JSON.stringify({ ...agent, max_duration_seconds: 3 }));
  await at.getByRole("button", { name: "Save" }).click();
  await at.getByText(/max_duration_seconds/).last().waitFor();
  await document.fill(JSON.stringify({ ...agent, max_duration_seconds: 300 }));
  await at.getByRole("button", { name: "Save" }).click();
  await at.getByText("Saved", { exact: true }).waitFor();
  await looked("agent-json");
  await at.getByRole("tab", { name: "Versions" }).click();
  await at.getByRole("button", { name: "Show changes: 2" }).click();
  await dialog().getByText("Good evening, reception.").waitFor();
  assert.deepEqual(await accessibility(at), []);
  await shot(at, "agent-version");
  await dialog().getByRole("button", { name: "Close" }).click();
  await at.getByRole("button", { name: "Restore: Version 1" }).click();
  await dialog().getByRole("button", { name: "Restore" }).click();
  await at.getByRole("cell", { name: "4", exact: true }).waitFor();
  await looked("agent-versions");
  await at.getByRole("tab", { name: "Form" }).click();
  assert.equal(await at.getByLabel("Greeting").inputValue(), "Good day, reception.");
});

test("phone numbers and trunks: made, checked, a test call rings", async () => {
  await open(at, "#/numbers", "Phone numbers and trunks");
  await at.getByRole("button", { name: "New trunk" }).click();
  await dialog().getByLabel("Name", { exact: true }).fill("Carrier");
  await dialog().getByLabel("Host").fill("sip:127.0.0.1");
  await dialog().getByLabel("Port", { exact: true }).fill("9");
  await dialog().getByLabel("Allowed source IPs").fill("203.0.113.0/24");
  assert.deepEqual(await accessibility(at), []);
  await shot(at, "trunk");
  await dialog().getByRole("button", { name: "Create" }).click();
  await at.getByRole("button", { name: "Carrier", exact: true }).waitFor();
  await at.getByRole("button", { name: "Check: Loopback" }).click();
  await at.getByText(/reachable · 200/).waitFor();
  await at.getByRole("button", { name: "New number" }).click();
  await dialog().getByLabel("Number").fill("020 123");
  await dialog().getByRole("button", { name: "Create" }).click();
  await dialog().getByRole("alert").waitFor();
  await dialog().getByLabel("Number").fill("+31207654321");
  await dialog().getByRole("button", { name: "Create" }).click();
  await at.getByRole("button", { name: "+31207654321", exact: true }).waitFor();
  await at.getByRole("button", { name: "Test call: Loopback" }).click();
  await dialog().getByLabel("Number").fill("+15550199");
  await dialog().getByRole("button", { name: "Call now" }).click();
  await dialog().getByText("Ringing.").waitFor();
  await dialog().getByRole("link", { name: "Follow the call" }).click();
  await at.getByRole("button", { name: "End the call" }).click();
  await at.getByRole("button", { name: "End the call" }).waitFor({ state: "detached" });
  await looked("call-ended");
  await open(at, "#/numbers", "Phone numbers and trunks");
  await looked("numbers");
  await at.getByRole("button", { name: "Delete: Carrier" }).click();
  await dialog().getByRole("button", { name: "Delete" }).click();
  await at.getByRole("button", { name: "Carrier", exact: true }).waitFor({ state: "detached" });
});

test("tasks: one by hand, many from a list with a column map", async () => {
  await open(at, "#/tasks", "Tasks");
  await at.getByRole("button", { name: "New task" }).click();
  await dialog().getByLabel("Number").fill("+15550123");
  await dialog().getByLabel("Name").fill("Ask about the delivery");
  await dialog().getByLabel("Scheduled for").fill("2031-01-01T10:00");
  await dialog().getByRole("button", { name: "Create" }).click();
  await at.getByRole("cell", { name: "Ask about the delivery", exact: true }).waitFor();
  await at.getByRole("button", { name: "Import CSV" }).click();
  const refused = async (text, said) => {
    await dialog().getByLabel("File").setInputFiles({ name: "list.csv", mimeType: "text/csv", buffer: Buffer.from(text) });
    await dialog().getByText(said).waitFor();
  };
  await refused("a,b\n\"x", "A quote in the list is never closed.");
  await refused("a\n" + "x\n".repeat(10_001), "The list has more than 10,000 lines.");
  await refused(",".repeat(200), "The list has more than 100 columns.");
  await refused("x".repeat(20_000), "A cell of the list has more than 10,000 characters.");
  await dialog().getByLabel("File").setInputFiles({ name: "list.csv", mimeType: "text/csv", buffer: Buffer.from("Telefoon;Datum\n+15550126;03/04/2031 09:00\n") });
  await dialog().getByLabel("How are the dates written?").waitFor();
  await dialog().getByRole("button", { name: "Import 1" }).click();
  await dialog().getByText("Choose how the dates are written.").waitFor();
  const list = "Telefoon;Naam;Bestelling;Intern\n+1 (555) 0124;Jan;A-17;x\n00155501 25;\"Kim; Co\";B-4;y\nnonsense;Bad;C-1;z\n";
  await dialog().getByLabel("File").setInputFiles({ name: "list.csv", mimeType: "text/csv", buffer: Buffer.from(list) });
  await dialog().getByLabel("Maps to: Intern").selectOption("skip");
  assert.deepEqual(await accessibility(at), []);
  await shot(at, "import");
  await dialog().getByRole("button", { name: "Import 3" }).click();
  await dialog().getByText("2 of 3 imported").waitFor();
  await dialog().getByText(/Line 4: `to_number`/).waitFor();
  // Pressed again: only the line that failed is sent.
  const sent = [];
  const count = (request) => request.method() === "POST" && request.url().endsWith("/v1/tasks") && sent.push(request.postDataJSON());
  at.on("request", count);
  await dialog().getByRole("button", { name: "Import the remaining 1" }).click();
  await until("the second try", () => sent.length === 1);
  await dialog().getByText("2 of 3 imported").waitFor();
  at.off("request", count);
  assert.deepEqual(sent.map(({ to_number }) => to_number), ["nonsense"]);
  // What is not imported yet is not thrown away without a word.
  await at.keyboard.press("Escape");
  await dialog().getByText("What you have entered is not saved.").waitFor();
  await dialog().getByRole("button", { name: "Discard" }).click();
  await at.getByRole("cell", { name: "+15550125", exact: true }).waitFor();
  await looked("tasks");
  const { tasks } = await api("GET", "/tasks?limit=100");
  const imported = tasks.find((task) => task.to_number === "+15550125");
  assert.deepEqual([imported.name, imported.context_data], ["Kim; Co", { Bestelling: "B-4" }]);
});

test("calls: found by words, opened", async () => {
  const { calls } = await api("GET", "/calls?limit=1");
  await open(at, "#/calls", "Calls");
  await at.getByLabel("Search").fill("nothing like it");
  await at.getByText("No matching calls").waitFor();
  await looked("calls-none");
  await at.getByLabel("Search").fill(calls[0].id);
  await until("the call", async () => (await at.getByRole("row").count()) === 2);
  await looked("calls");
  await at.locator("tbody a").first().click();
  await at.getByRole("heading", { level: 1, name: /^Call / }).waitFor();
  const invite = at.getByRole("button", { name: /: INVITE / }).first();
  await invite.focus();
  await at.keyboard.press("Enter");
  assert.equal(await invite.getAttribute("aria-expanded"), "true");
  assert.match(await at.locator(".ladder pre").textContent(), /^INVITE sip:.*\r?\n/);
  await at.getByRole("button", { name: /: 200 OK/ }).first().waitFor();
  await looked("call-sip");
  const text = at.waitForEvent("download");
  await at.getByRole("link", { name: "Download as text" }).click();
  assert.equal((await text).suggestedFilename(), `sip-${calls[0].started_at.slice(0, 10)}-${calls[0].id}.txt`);
});

test("live: a call appears and goes without a reload", async () => {
  await open(at, "#/", "Overview");
  const count = at.locator(".livecount");
  await until("no call", async () => (await count.textContent()) === "0", 30_000);
  const { call_id } = await api("POST", "/calls/web", { agent_id: AGENT, caller: "somebody" });
  await until("the call", async () => (await count.textContent()) === "1");
  await looked("overview-live");
  await at.getByRole("button", { name: "End: somebody" }).click();
  await until("its end", async () => (await count.textContent()) === "0");
  assert.equal((await api("GET", `/calls/${call_id}`)).call.end_reason, "canceled");
});

test("providers: tested, given a key, rid of it", async () => {
  await open(at, "#/providers", "Providers");
  await at.getByRole("button", { name: "Test: openai" }).click();
  await at.getByText(/ok · \d+ ms/).first().waitFor();
  await at.getByRole("button", { name: "Set key: groq" }).click();
  await dialog().getByLabel("Provider key").fill("a key of our own");
  await dialog().getByRole("button", { name: "Save" }).click();
  await at.getByText("your own", { exact: true }).waitFor();
  await looked("providers");
  await at.getByRole("button", { name: "Remove key: groq" }).click();
  await dialog().getByRole("button", { name: "Remove key" }).click();
  await at.getByText("your own", { exact: true }).waitFor({ state: "detached" });
});

test("health check: what is wrong comes first, with what to do", async () => {
  await api("PATCH", `/agents/${AGENT}`, { webhook_url: "http://127.0.0.1:9/nobody-here" });
  await open(at, "#/health", "Health check");
  await at.getByText(/^http:\/\/127\.0\.0\.1:9 \(agent .+\) cannot be reached: /).waitFor();
  await at.getByText(/webhooks are tried again for a day/).waitFor();
  assert.equal(await at.locator(".findings").first().locator(".badge").first().textContent(), "error");
  await at.getByText(/^Passed \(\d+\)$/).click();
  await looked("health");
  await at.getByRole("button", { name: "Check again" }).click();
  await api("PATCH", `/agents/${AGENT}`, { webhook_url: null });
});

test("webhook deliveries: seen, and sent again", async () => {
  await api("PATCH", `/agents/${AGENT}`, { webhook_url: `${BASE}/nobody-here` });
  const { call_id } = await api("POST", "/calls/web", { agent_id: AGENT });
  await api("POST", `/calls/${call_id}/cancel`);
  await open(at, "#/webhooks", "Webhook deliveries");
  await at.getByRole("button", { name: "status-update" }).first().click();
  await dialog().getByText('"type"').waitFor();
  assert.deepEqual(await accessibility(at), []);
  await dialog().getByRole("button", { name: "Close" }).click();
  await looked("webhooks");
  await api("PATCH", `/agents/${AGENT}`, { webhook_url: null });
});

test("keys: made, shown once, deleted", async () => {
  await open(at, "#/keys", "API keys");
  await at.getByRole("button", { name: "New key" }).click();
  await dialog().getByLabel("Name").fill("CRM");
  await dialog().getByLabel("Full access").uncheck();
  await dialog().getByLabel("calls:read").check();
  await dialog().getByRole("button", { name: "Create" }).click();
  await at.getByText(/^va_/).first().waitFor();
  await looked("keys");
  await at.getByRole("button", { name: "Delete: CRM" }).click();
  await dialog().getByRole("button", { name: "Delete" }).click();
  await at.getByRole("button", { name: "Delete: CRM" }).waitFor({ state: "detached" });
});

test("people: invited, and the invitation is taken up", async () => {
  await open(at, "#/people", "People");
  await at.getByRole("button", { name: "Invite" }).click();
  await dialog().getByLabel("E-mail").fill("colleague@example.com");
  await dialog().getByRole("button", { name: "Invite" }).click();
  const link = await at.getByText(/#\/invitation\//).textContent();
  await looked("people");
  const other = await page(chromium);
  await other.page.goto(link);
  await other.page.getByLabel("Name").fill("Colleague");
  await other.page.getByLabel("New password").fill("a long enough password");
  await other.page.getByRole("button", { name: "Get started" }).click();
  await other.page.getByRole("heading", { name: "Overview" }).waitFor();
  assert.equal(await other.page.getByRole("link", { name: "API keys" }).count(), 0, "members manage no keys");
  await other.context.close();
  // An invitation that waits is seen, and taken back.
  await at.getByRole("button", { name: "Invite" }).click();
  await dialog().getByLabel("E-mail").fill("mistake@example.com");
  await dialog().getByRole("button", { name: "Invite" }).click();
  await at.getByRole("heading", { name: "Pending invitations" }).waitFor();
  await looked("people-pending");
  await at.getByRole("button", { name: "Revoke: mistake@example.com" }).click();
  await dialog().getByRole("button", { name: "Revoke" }).click();
  await at.getByRole("heading", { name: "Pending invitations" }).waitFor({ state: "detached" });
});

test("log in: an address with one password in two organizations is asked which", async () => {
  const password = "a password in two places";
  const address = "twice@example.com";
  const invite = () => at.evaluate(async (email) => {
    const answer = await fetch("/v1/users/invite", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ email }) });
    return (await answer.json()).invitation.token;
  }, address);
  const below = () => at.evaluate(async (owner_email) => {
    const { organization } = await (await fetch("/v1/auth/me")).json();
    const body = JSON.stringify({ name: "Second home", parent_org_id: organization.id, owner_email });
    const answer = await fetch("/v1/organizations", { method: "POST", headers: { "Content-Type": "application/json" }, body });
    return (await answer.json()).invitation_token;
  }, address);
  const other = await page(chromium);
  for (const token of [await invite(), await below()]) {
    const answer = await fetch(`${BASE}/v1/invitations/accept`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ token, password }) });
    assert.equal(answer.status, 201);
  }
  await other.page.goto(`${BASE}/`);
  await other.page.getByLabel("E-mail").fill(address);
  await other.page.getByLabel("Password").fill(password);
  await other.page.getByRole("button", { name: "Log in" }).click();
  await other.page.getByRole("heading", { name: "Which organization?" }).waitFor();
  assert.equal(await other.page.getByRole("list", { name: "Organizations" }).getByRole("button").count(), 2);
  await shot(other.page, "login-choice");
  assert.deepEqual(await accessibility(other.page), []);
  await other.page.getByRole("button", { name: /Second home/ }).click();
  await other.page.getByRole("heading", { name: "Overview" }).waitFor();
  const { organization } = await other.page.evaluate(async () => (await fetch("/v1/auth/me")).json());
  assert.equal(organization.name, "Second home");
  assert.deepEqual(other.faults, []);
  await other.context.close();
});

test("organizations: one below ours", async () => {
  await open(at, "#/organizations", "Organizations");
  await at.getByRole("button", { name: "New organization" }).click();
  await dialog().getByLabel("Name").fill("Customer of ours");
  await dialog().getByLabel("Owner's e-mail").fill("owner-below@example.com");
  await dialog().getByRole("button", { name: "Create" }).click();
  await at.getByText(/^va_/).first().waitFor();
  const link = await at.getByText(/#\/invitation\//).textContent();
  await at.getByRole("cell", { name: "Customer of ours" }).waitFor();
  await looked("organizations");
  const [right, left] = await at.evaluate(() => ["td.right", "td.right + td:not(.right)"].map((cell) => {
    const { paddingLeft, paddingRight } = getComputedStyle(document.querySelector(cell));
    return Number.parseFloat(cell === "td.right" ? paddingRight : paddingLeft);
  }));
  assert.ok(right + left > 12, "numbers on the right do not touch the next column");
  await at.getByRole("button", { name: "Customer of ours" }).click();
  await dialog().getByLabel("Concurrent calls").fill("2");
  await dialog().getByRole("button", { name: "Save" }).click();
  await at.getByRole("row", { name: /Customer of ours/ }).getByRole("cell", { name: "2", exact: true }).waitFor();
  // The owner can come in.
  const other = await page(chromium);
  await other.page.goto(link);
  await other.page.getByLabel("New password").fill("a long enough password");
  await other.page.getByRole("button", { name: "Get started" }).click();
  await other.page.getByRole("heading", { name: "Overview" }).waitFor();
  // A fresh installation says what to do next.
  await other.page.getByRole("heading", { name: "Get started" }).waitFor();
  await other.page.locator(".steps").getByRole("button", { name: "Receptionist" }).waitFor();
  await shot(other.page, "overview-fresh");
  assert.deepEqual(await accessibility(other.page), []);
  await other.context.close();
});

test("what is typed stays: other pages, JSON and form, a lost session, another's change", async () => {
  await open(at, `#/agents/${AGENT}`, /./);
  const greeting = at.getByLabel("Greeting");
  const before = await greeting.inputValue();
  await greeting.fill("Typed and not saved.");
  await open(at, "#/calls?status=completed", "Calls");
  await at.goBack();
  await at.getByText("Your unsaved changes were kept.").waitFor();
  assert.equal(await greeting.inputValue(), "Typed and not saved.");
  await at.getByRole("tab", { name: "Form" }).focus();
  await at.keyboard.press("ArrowRight");
  const json = at.getByLabel("The agent as JSON");
  assert.equal(JSON.parse(await json.inputValue()).first_message, "Typed and not saved.");
  await json.fill(`${await json.inputValue()}x`);
  await at.getByRole("tab", { name: "Form" }).click();
  assert.equal(await greeting.inputValue(), "Typed and not saved.");
  await at.getByRole("tab", { name: "JSON" }).click();
  assert.match(await json.inputValue(), /x$/, "a text that is no JSON yet is kept too");
  await at.getByRole("button", { name: "Save" }).click();
  await at.getByText("The JSON has an error: correct it before you save.").waitFor();
  await json.fill((await json.inputValue()).slice(0, -1));
  await at.getByRole("tab", { name: "Form" }).click();
  // The session ends in the middle of it.
  await at.context().clearCookies();
  await at.getByRole("button", { name: "Save" }).click();
  await dialog().getByText("Your session has ended").waitFor();
  await shot(at, "session-ended");
  await dialog().getByLabel("Password").fill(PASSWORD);
  await dialog().getByRole("button", { name: "Log in" }).click();
  await dialog().waitFor({ state: "detached" });
  assert.equal(await greeting.inputValue(), "Typed and not saved.");
  // Somebody else saves first.
  await api("PATCH", `/agents/${AGENT}`, { business_name: "Changed by another" });
  await at.getByRole("button", { name: "Save" }).click();
  await at.getByRole("button", { name: "Load the other version" }).waitFor();
  await looked("agent-conflict");
  await at.getByRole("button", { name: "Load the other version" }).click();
  await dialog().getByRole("button", { name: "Load the other version" }).click();
  await until("the other version", async () => (await at.getByLabel("Business").inputValue()) === "Changed by another");
  assert.equal(await greeting.inputValue(), before);
});

test("an agent's provider is changed with its model, and an agent is duplicated", async () => {
  await open(at, `#/agents/${AGENT}`, /./);
  await at.locator("summary", { hasText: "Language model" }).click();
  const model = at.getByRole("group", { name: "Language model", exact: true });
  await model.getByLabel("Provider", { exact: true }).selectOption("anthropic");
  assert.match(await model.getByLabel("Model", { exact: true }).inputValue(), /^claude-/);
  await model.getByLabel("Provider", { exact: true }).selectOption("openai");
  assert.equal(await model.getByLabel("Model", { exact: true }).inputValue(), "gpt-4o-mini");
  await at.getByRole("link", { name: "Duplicate" }).click();
  await at.getByRole("heading", { name: "New agent" }).waitFor();
  await until("the copy", async () => /\(copy\)$/.test(await at.getByLabel("Name", { exact: true }).inputValue()));
  for (const section of ["Fallbacks", "Tools", "Keypad (DTMF)", "Silence", "Voicemail", "Analysis", "Webhook"]) await at.locator("summary", { hasText: section }).click();
  await at.getByRole("button", { name: "Add: Language model" }).click();
  await at.getByRole("button", { name: "Add: Keys" }).click();
  await at.getByRole("textbox", { name: "Keys", exact: true }).fill("0");
  await at.getByLabel("Action").selectOption("say");
  await at.getByLabel("Words", { exact: true }).fill("One moment.");
  await at.getByLabel("Success criteria").fill("An appointment was made.");
  await at.getByRole("button", { name: "Insert an example" }).first().click();
  await looked("agent-sections");
  await at.getByRole("button", { name: "Create" }).click();
  await at.getByRole("tab", { name: "Versions" }).waitFor();
  const { agents } = await api("GET", "/agents?limit=100");
  const copy = agents.find(({ name }) => name.endsWith("(copy)"));
  assert.deepEqual(copy.dtmf_rules.rules, [{ digits: "0", action: "say", text: "One moment." }]);
  assert.deepEqual([copy.fallbacks.llm.length, copy.analysis_plan.success_criteria, copy.llm_config.tools[0].function.name], [1, "An appointment was made.", "find_order"]);
});

test("a task that is in progress is not reset before somebody says so", async () => {
  const { task } = await api("POST", "/tasks", { agent_id: AGENT, to_number: "+15550177", name: "In progress" });
  const { call_id } = await api("POST", `/tasks/${task.id}/execute`);
  await open(at, "#/tasks?status=in_progress", "Tasks");
  await at.getByRole("button", { name: "Reset to pending: +15550177" }).click();
  await dialog().getByText(/This ends the call that is in progress/).waitFor();
  await looked("task-reset");
  await dialog().getByRole("button", { name: "Cancel" }).click();
  assert.equal((await api("GET", `/tasks/${task.id}`)).task.status, "in_progress");
  await open(at, `#/calls/${call_id}`, "Call to +15550177");
  await at.getByText("The call has not been answered yet.").first().waitFor();
  await api("POST", `/calls/${call_id}/end`);
  await at.getByText("The call failed: canceled").waitFor();
  assert.equal(await at.getByText("Available shortly after the call ends.").count(), 0);
  await at.getByText("The call was not answered.").first().waitFor();
  await at.getByRole("link", { name: "In progress" }).click();
  await at.getByText("Only calls of one task.").waitFor();
  await looked("calls-of-a-task");
});

test("many tasks are acted on at once", async () => {
  for (const number of ["+15550181", "+15550182"]) await api("POST", "/tasks", { agent_id: AGENT, to_number: number, name: `Bulk ${number}`, scheduled_at: "2031-01-01T10:00:00Z" });
  await open(at, "#/tasks?status=pending", "Tasks");
  for (const number of ["+15550181", "+15550182"]) await at.getByLabel(`Select: Bulk ${number}`).check();
  await at.getByRole("button", { name: "Pause (2)" }).click();
  await dialog().getByRole("button", { name: "Pause" }).click();
  await dialog().waitFor({ state: "detached" });
  const bulk = async () => (await api("GET", "/tasks?limit=100")).tasks.filter(({ name }) => name?.startsWith("Bulk"));
  await until("no time", async () => (await bulk()).every(({ scheduled_at }) => scheduled_at === null));
  for (const number of ["+15550181", "+15550182"]) await at.getByLabel(`Select: Bulk ${number}`).check();
  await at.getByRole("button", { name: "Delete (2)" }).click();
  await dialog().getByRole("button", { name: "Delete" }).click();
  await until("their end", async () => (await bulk()).length === 0);
});

test("calls: filters and page in the address, and a file", async () => {
  const asked = at.waitForRequest((request) => /\/v1\/calls\?.*offset=25/.test(request.url()));
  await open(at, "#/calls?page=2&status=completed", "Calls");
  assert.match((await asked).url(), /status=completed/);
  await at.getByLabel("From date").fill("2020-01-01");
  await until("the filter in the address", () => /from=2020-01-01/.test(at.url()) && !/page=/.test(at.url()));
  await at.locator("tbody a").first().click();
  await at.getByText("Call id").first().waitFor();
  await at.goBack();
  assert.equal(await at.getByLabel("From date").inputValue(), "2020-01-01");
  const file = at.waitForEvent("download");
  await at.getByRole("button", { name: "Export CSV" }).click();
  const text = fs.readFileSync(await (await file).path(), "utf8");
  assert.match(text, /^\uFEFFid,started_at,/);
  assert.equal(text.trim().split("\r\n").length, 1 + (await api("GET", "/calls?status=completed&limit=1")).total);
});

test("dialogs begin at their first field and keep what was typed", async () => {
  await open(at, "#/tasks", "Tasks");
  await at.getByRole("button", { name: "New task" }).click();
  await until("the focus", () => at.evaluate(() => document.activeElement?.matches("dialog .inner select")));
  await dialog().getByLabel("Name").fill("Not to be lost");
  await at.keyboard.press("Escape");
  await dialog().getByRole("button", { name: "Keep editing" }).click();
  assert.equal(await dialog().getByLabel("Name").inputValue(), "Not to be lost");
  await dialog().getByLabel("Number").fill("+1 (555) 0191");
  await dialog().getByLabel("Scheduled for").fill("2020-01-01T10:00");
  await dialog().getByRole("button", { name: "Create" }).click();
  await dialog().getByText(/This time is in the past/).waitFor();
  await at.keyboard.press("Escape");
  await dialog().getByRole("button", { name: "Discard" }).click();
  await dialog().waitFor({ state: "detached" });
  assert.equal((await api("GET", "/tasks?limit=100")).tasks.filter(({ to_number }) => to_number === "+15550191").length, 0);
});

test("a list that could not be loaded is tried again", async () => {
  await at.route("**/v1/agents?*", (route) => route.abort());
  await open(at, "#/agents", "Agents");
  await at.getByText("The server cannot be reached").waitFor();
  await at.unroute("**/v1/agents?*");
  await at.getByRole("button", { name: "Try again" }).click();
  await at.getByRole("link", { name: /^Duplicate: / }).first().waitFor();
  await at.route("**/v1/agents?*", (route) => route.fulfill({ status: 502, contentType: "text/html", body: "<h1>Bad gateway</h1>" }));
  await open(at, "#/", "Overview");
  await at.getByText(/did not come from Trunkline/).first().waitFor();
  await at.unroute("**/v1/agents?*");
});

test("a microphone that is refused leaves no call behind", async () => {
  await open(at, `#/agents/${AGENT}`, /./);
  const { total } = await api("GET", "/calls?limit=1");
  await at.evaluate(() => { navigator.mediaDevices.getUserMedia = async () => { throw new DOMException("no", "NotAllowedError"); }; });
  await at.getByRole("button", { name: "Call with the microphone" }).click();
  await at.getByText(/The browser does not allow the microphone/).waitFor();
  assert.equal((await api("GET", "/calls?limit=1")).total, total);
  // A connection that fails after the call was placed ends the call.
  await at.evaluate(() => { navigator.mediaDevices.getUserMedia = async () => new AudioContext().createMediaStreamDestination().stream; });
  await at.route("**/api/v1/whip/**", (route) => route.abort());
  await at.getByRole("button", { name: "Call with the microphone" }).click();
  await until("its end", async () => (await api("GET", "/calls?limit=1")).calls[0].end_reason === "canceled");
  // Until then the page asks whether to leave.
  await at.getByRole("button", { name: "Call with the microphone" }).waitFor();
  await at.unroute("**/api/v1/whip/**");
});

test("a narrow screen shows every page without a sideways scroll, a stretched header or a cut button", async () => {
  await at.setViewportSize({ width: 390, height: 844 });
  for (const [hash, heading] of [["#/", "Overview"], ["#/people", "People"], ["#/tasks", "Tasks"], ["#/numbers", "Phone numbers and trunks"], ["#/providers", "Providers"], ["#/health", "Health check"], ["#/audit", "Audit log"], ["#/calls", "Calls"], ["#/analytics", "Analytics"], ["#/alerts", "Alerts"]]) {
    await open(at, hash, heading);
    const { sideways, header, cut } = await at.evaluate(() => ({
      sideways: document.documentElement.scrollWidth - innerWidth,
      header: document.querySelector("nav.side").offsetHeight,
      cut: [...document.querySelectorAll("main button, main a")].filter((one) => one.getBoundingClientRect().right > innerWidth).map((one) => one.textContent),
    }));
    assert.deepEqual([sideways <= 0, header < 80, cut], [true, true, []], `${hash}: ${sideways} px wider, header ${header} px`);
  }
  await looked("phone");
  await at.setViewportSize({ width: 1280, height: 900 });
});

test("usage: by day", async () => {
  await open(at, "#/usage", "Usage");
  await at.getByLabel("Period").selectOption("7");
  await at.getByRole("img", { name: /^Calls/ }).waitFor();
  await looked("usage");
});

test("settings: limits, password, Dutch and dark", async () => {
  await open(at, "#/settings", "Settings");
  await at.getByLabel("Concurrent calls").fill("20");
  await at.getByRole("button", { name: "Save" }).click();
  await at.getByText("Saved", { exact: true }).waitFor();
  await at.getByLabel("Current password").fill("wrong password");
  await at.getByLabel("New password").fill("another long password");
  await at.getByRole("button", { name: "Change" }).click();
  await at.getByText(/current_password/).waitFor();
  await at.getByLabel("Current password").fill(PASSWORD);
  await at.getByRole("button", { name: "Change" }).click();
  await at.getByText("Other sessions have ended.").waitFor();
  await at.getByLabel("Current password").fill("another long password");
  await at.getByLabel("New password").fill(PASSWORD);
  await at.getByRole("button", { name: "Change" }).click();
  await at.waitForFunction(() => !document.querySelector("input[type=password]").value);
  await looked("settings");
  await at.getByLabel("Theme").selectOption("dark");
  await at.getByLabel("Language").selectOption("nl");
  await at.getByRole("heading", { name: "Instellingen" }).waitFor();
  await looked("settings-dark-dutch");
  for (const [hash, heading] of [["#/", "Overzicht"], ["#/agents", "Agents"], ["#/calls", "Gesprekken"], ["#/tasks", "Taken"], ["#/numbers", "Telefoonnummers en trunks"], ["#/providers", "Aanbieders"], ["#/health", "Controle"], ["#/usage", "Verbruik"], ["#/analytics", "Statistieken"], ["#/alerts", "Meldingen"]]) {
    await open(at, hash, heading);
    await looked(`dark-dutch-${hash.slice(2) || "overview"}`);
  }
  await open(at, "#/settings", "Instellingen");
  await at.getByLabel("Taal").selectOption("en");
  await at.getByLabel("Theme").selectOption("");
});

test("a telephone's width: nothing sticks out, the menu opens", async () => {
  const phone = await page(chromium, { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true });
  await logIn(phone.page);
  for (const [hash, heading] of [["#/", "Overview"], ["#/agents", "Agents"], [`#/agents/${AGENT}`, "Test"], ["#/calls", "Calls"], ["#/tasks", "Tasks"], ["#/numbers", "Phone numbers and trunks"], ["#/providers", "Providers"], ["#/settings", "Settings"]]) {
    await open(phone.page, hash, heading);
    const [wide, seen] = await phone.page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(wide <= seen, `${hash} is ${wide} wide on ${seen}`);
    await shot(phone.page, `phone-${heading.split(" ")[0].toLowerCase()}`);
    assert.deepEqual(await accessibility(phone.page), [], hash);
  }
  await phone.page.getByRole("button", { name: "Menu" }).click();
  await phone.page.getByRole("link", { name: "Usage" }).click();
  await phone.page.getByRole("heading", { name: "Usage" }).waitFor();
  assert.deepEqual(phone.faults, []);
  await phone.context.close();
});

test("the keyboard alone: to the content, through the menu, out of a dialog", async () => {
  await at.goto(`${BASE}/`);
  await at.getByRole("heading", { name: "Overview" }).waitFor();
  await at.keyboard.press("Tab");
  assert.equal(await at.evaluate(() => document.activeElement.textContent), "Skip to content");
  await at.keyboard.press("Enter");
  assert.equal(await at.evaluate(() => document.activeElement.id), "main");
  await open(at, "#/tasks", "Tasks");
  await at.getByRole("button", { name: "New task" }).focus();
  await at.keyboard.press("Enter");
  await dialog().waitFor();
  assert.ok(await at.evaluate(() => document.querySelector("dialog").contains(document.activeElement)));
  await at.keyboard.press("Escape");
  await dialog().waitFor({ state: "detached" });
});

test("log out: the door again, and the API refuses", async () => {
  await at.getByRole("button", { name: "Log out" }).click();
  await at.getByRole("heading", { name: "Log in" }).waitFor();
  assert.equal(await at.evaluate(async () => (await fetch("/v1/agents")).status), 401);
});

test("the bundle is within its limit, and the policy is strict", async () => {
  const fresh = await page(chromium);
  await fresh.page.goto(`${BASE}/`);
  await fresh.page.getByRole("heading", { name: "Log in" }).waitFor();
  const { ready, bytes, policy } = await fresh.page.evaluate(async () => {
    const paint = performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? performance.now();
    const loaded = performance.getEntriesByType("resource").filter(({ name }) => name.includes("/assets/"));
    const response = await fetch("/");
    return { ready: paint, bytes: loaded.reduce((sum, one) => sum + one.encodedBodySize, 0), policy: response.headers.get("content-security-policy") };
  });
  console.log(`first paint ${Math.round(ready)} ms, scripts and styles ${bytes} bytes compressed`);
  assert.ok(bytes > 0 && bytes <= 120 * 1024);
  assert.match(policy, /script-src 'self';/);
  assert.doesNotMatch(policy, /unsafe/);
  await fresh.context.close();
});

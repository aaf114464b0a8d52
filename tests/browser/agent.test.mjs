// The editor of agents: every setting, drafts, tools that are tried, voices that are heard, fallbacks in order, and two
// people at one agent. And the first steps of a new organization.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { AGENT, BASE, accessibility, api, browser, logIn, open, page, shot, until } from "./support.mjs";
import { placesOfSettings, whole } from "./whole-agent.mjs";

let chromium;
let at;
let faults;
before(async () => {
  chromium = await browser();
  ({ page: at, faults } = await page(chromium));
  await logIn(at);
});
after(() => chromium.close());

async function looked(name) {
  await shot(at, name);
  assert.deepEqual(await accessibility(at), [], name);
  assert.deepEqual(faults.splice(0), [], name);
}

const dialog = () => at.getByRole("dialog");
const made = async (fields) => (await api("POST", "/agents", fields)).agent.id;
const stored = async (id) => (await api("GET", `/agents/${id}`)).agent;
const openSection = async (title, on = at) => {
  const section = on.locator("details.section", { has: on.locator("summary", { hasText: title }) }).first();
  if (!(await section.evaluate((one) => one.open))) await section.locator("summary").first().click();
  return section;
};

/** Every fold of the form is opened. */
async function unfold() {
  await until("all folds", () => at.evaluate(() => {
    const closed = [...document.querySelectorAll("main details:not([open]) > summary")];
    for (const one of closed) one.click();
    return closed.length === 0;
  }));
}

const shownPlaces = () => at.evaluate(() => [...document.querySelectorAll("[data-setting]")].map((one) => one.dataset.setting));

test("the form shows every setting of the API's agent, with what it is for and its default", async () => {
  const shown = new Set();
  const openai = { provider: "openai", model: "gpt-4o-mini" };
  const flow = { start: "a", states: { a: { type: "end", text: "Goodbye." } } };
  const tool = (name, auth) => ({ type: "function", url: "https://example.com", function: { name }, request: { method: "GET", auth } });
  const tools = [tool("basic", { type: "basic", username: "u", password: "secret-word" }), tool("header", { type: "header", name: "X-Key", value: "secret-word" })];
  // What excludes each other stands in several agents.
  const agents = [whole(AGENT), { name: "Rules", llm_config: { provider: "local", flow }, fallbacks: { llm: [{ provider: "local", flow }] } }, { name: "Realtime", llm_config: { provider: "openai_realtime", model: "gpt-realtime-2.1", voice: "alloy" } }, { name: "Credentials", llm_config: { ...openai, tools } }];
  for (const fields of agents) {
    const id = await made(fields);
    await open(at, `#/agents/${id}`, fields.name);
    await unfold();
    for (const place of await shownPlaces()) shown.add(place);
    if (fields.name === "Everything") await looked("agent-everything");
    await api("DELETE", `/agents/${id}`);
  }
  const all = await placesOfSettings();
  assert.ok(all.length > 180, `${all.length} settings`);
  assert.deepEqual(all.filter((place) => !shown.has(place)), [], "settings of the API that the form does not show");
  const bare = await made({ name: "Bare" });
  await open(at, `#/agents/${bare}`, "Bare");
  await unfold();
  for (const [label, standard] of [["Maximum duration (s)", "Default: 1,800"], ["Ask after (ms)", "Default: 8,000"], ["Records calls", "Default: on"], ["Temperature", "Default: 0.7"], ["Question", "Default: Are you still there?"]]) {
    const doc = at.locator(".setting", { has: at.getByLabel(label, { exact: true }) }).first().locator(".doc");
    assert.match(await doc.textContent(), new RegExp(standard.replace(/[.?]/g, "\\$&")), label);
  }
  await api("DELETE", `/agents/${bare}`);
});

test("a form that is opened and saved changes nothing, and JSON and form say the same", async () => {
  const id = await made(whole(AGENT));
  const first = await stored(id);
  await open(at, `#/agents/${id}`, "Everything");
  await unfold();
  await at.getByLabel("Notes").fill("Other notes");
  await at.getByRole("button", { name: "Save" }).click();
  await at.getByText("Saved", { exact: true }).waitFor();
  const { description, updated_at, ...rest } = await stored(id);
  const { description: _, updated_at: __, ...before } = first;
  assert.equal(description, "Other notes");
  assert.deepEqual(rest, before);
  // A search finds settings by their name in the API too.
  const saves = [];
  at.on("request", (request) => request.method() === "PATCH" && saves.push(request.url()));
  await at.getByLabel("Find a setting").fill("hedge_after_ms");
  await at.getByLabel("Find a setting").press("Enter");
  await at.getByLabel("Also asks the next one after (ms)", { exact: true }).waitFor();
  assert.equal(await at.getByLabel("Name", { exact: true }).count(), 0);
  assert.deepEqual(saves, []);
  await looked("agent-search");
  await api("DELETE", `/agents/${id}`);
});

test("a prompt has its variables marked and its tokens estimated", async () => {
  const id = await made({ name: "Prompt" });
  await open(at, `#/agents/${id}`, "Prompt");
  await at.getByLabel("Instructions").fill("You are the receptionist of {{business}}. Today is {{date}}.");
  assert.deepEqual(await at.locator(".marked mark.variable").allTextContents(), ["{{business}}", "{{date}}"]);
  await at.getByText(/≈ \d+ tokens \(an estimate\)/).last().waitFor();
  await at.getByLabel("Instructions").fill("Hello {{name");
  await at.getByText(/A variable is never closed/).waitFor();
  // Pasted pages are text.
  await at.getByLabel("Instructions").fill("<img src=x onerror=alert(1)>{{<b>x</b>}}");
  assert.equal(await at.locator(".marked img, .marked b").count(), 0);
  await looked("agent-prompt");
  await api("DELETE", `/agents/${id}`);
});

test("a tool is made as a form and tried, and its secret is not shown", async () => {
  const id = await made({ name: "Tools", llm_config: { provider: "openai", model: "gpt-4o-mini" } });
  await open(at, `#/agents/${id}`, "Tools");
  const section = await openSection("Tools");
  await section.getByRole("button", { name: "Add a function" }).click();
  await section.getByLabel("Name", { exact: true }).first().fill("health");
  await section.getByLabel("URL", { exact: true }).fill(`${BASE}/health?shop={{shop}}`);
  await section.getByLabel("Custom request").check();
  await section.getByLabel("Method", { exact: true }).selectOption("GET");
  await section.getByLabel("Secrets").pressSequentially("KEY: secret-of-mine");
  await section.getByLabel("Headers").pressSequentially("X-Key: {{secrets.KEY}}");
  await section.getByRole("button", { name: "Add: Field" }).click();
  await section.getByRole("group", { name: "field_1" }).getByLabel("Name", { exact: true }).fill("number");
  await section.locator("summary", { hasText: "Try it" }).click();
  await section.getByRole("textbox", { name: "number", exact: true }).fill("A-7");
  await section.getByLabel("{{shop}}").fill("west");
  // Enter sends the request, and does not save the agent.
  await section.getByLabel("{{shop}}").press("Enter");
  await section.getByText("answered", { exact: true }).waitFor();
  await section.getByText(`Request: GET ${BASE}/health?shop=west&number=A-7`).waitFor();
  assert.match(await section.locator(".trial").textContent(), /x-key: \[removed\]/i);
  assert.doesNotMatch(await section.locator(".trial").textContent(), /secret-of-mine/);
  await looked("agent-tool");
  await at.getByRole("button", { name: "Save" }).click();
  await at.getByText("Saved", { exact: true }).waitFor();
  const [tool] = (await stored(id)).llm_config.tools;
  assert.deepEqual([tool.function.name, tool.request.method, tool.request.secrets.KEY, Object.keys(tool.function.parameters.properties)], ["health", "GET", "********", ["number"]]);
  await api("DELETE", `/agents/${id}`);
});

test("voices are heard and chosen, models come from the provider, and a free name where there is no list", async () => {
  await at.route("**/v1/providers/groq/catalog", (route) => route.fulfill({ json: { provider: "groq", models: [], voices: [], problem: { kind: "deadline", message: "no list in time" } } }));
  // A page that has the list already does not ask again.
  await at.reload();
  await at.getByRole("heading", { level: 1 }).waitFor();
  const id = await made({ name: "Voices", tts_config: { provider: "elevenlabs", voice_id: "EXAVITQu4vr4xnSDxMaL", language: "en" } });
  await open(at, `#/agents/${id}`, "Voices");
  const section = await openSection("Voice");
  const spoken = at.waitForResponse((response) => response.url().endsWith("/v1/providers/speech"));
  await section.getByRole("button", { name: /^Listen/ }).click();
  assert.equal((await spoken).status(), 200);
  await section.getByText("Playing").waitFor();
  await section.getByRole("button", { name: /^Stop/ }).click();
  await section.getByRole("button", { name: "Compare voices" }).click();
  await dialog().getByLabel("Search").fill("emulated");
  await dialog().getByLabel("Search").press("Enter");
  await dialog().getByRole("button", { name: /^Choose: Emulated/ }).waitFor();
  await shot(at, "agent-voices");
  assert.deepEqual(await accessibility(at), []);
  await dialog().getByRole("button", { name: /^Choose: Emulated/ }).click();
  assert.equal(await section.getByRole("combobox", { name: "Voice", exact: true }).inputValue(), "emulated-voice");
  const model = await openSection("Language model");
  await model.getByLabel("Provider", { exact: true }).selectOption("openai");
  await until("the provider's models", async () => (await model.getByLabel("Model", { exact: true }).locator("option").allTextContents()).includes("gpt-emulated"));
  await model.getByLabel("Provider", { exact: true }).selectOption("groq");
  await model.getByText(/The list of Groq cannot be had: no list in time/).waitFor();
  await model.getByLabel("Model", { exact: true }).selectOption({ label: "Another model" });
  await model.getByLabel("Another model").fill("my/model");
  await at.getByRole("button", { name: "Save" }).click();
  await at.getByText("Saved", { exact: true }).waitFor();
  assert.deepEqual([(await stored(id)).llm_config.model, (await stored(id)).tts_config.voice_id], ["my/model", "emulated-voice"]);
  // A voice that cannot be heard says why.
  await at.route("**/v1/providers/speech", (route) => route.fulfill({ status: 503, json: { error: "The provider did not answer: no key configured", details: { code: "provider_not_configured" } } }));
  await section.getByRole("button", { name: /^Listen/ }).click();
  await section.getByText("The provider did not answer: no key configured").waitFor();
  await at.unroute("**/v1/providers/speech");
  await at.unroute("**/v1/providers/groq/catalog");
  await looked("agent-voice");
  await api("DELETE", `/agents/${id}`);
});

test("fallbacks are ordered by dragging, by buttons and by the keyboard", async () => {
  const names = ["anthropic", "groq", "mistral"];
  const id = await made({ name: "Fallbacks", fallbacks: { llm: names.map((provider) => ({ provider, model: "m" })) } });
  await open(at, `#/agents/${id}`, "Fallbacks");
  const list = (await openSection("Fallbacks")).locator('[data-setting="fallbacks.llm"] .entries > li');
  const order = () => list.locator("header strong").allTextContents();
  await list.nth(2).getByRole("button", { name: /^Move up/ }).click();
  assert.deepEqual(await order(), ["1. Anthropic", "2. Mistral", "3. Groq"]);
  await list.nth(0).getByLabel("Provider", { exact: true }).focus();
  await at.keyboard.press("Alt+ArrowDown");
  assert.deepEqual(await order(), ["1. Mistral", "2. Anthropic", "3. Groq"]);
  const [from, to] = [await list.nth(2).locator(".grip").boundingBox(), await list.nth(0).boundingBox()];
  await at.mouse.move(from.x + 4, from.y + 8);
  await at.mouse.down();
  await at.mouse.move(to.x + 30, to.y + 12, { steps: 12 });
  await at.mouse.up();
  await until("the third one first", async () => (await order())[0] === "1. Groq");
  await at.getByRole("button", { name: "Save" }).click();
  await at.getByText("Saved", { exact: true }).waitFor();
  assert.deepEqual((await stored(id)).fallbacks.llm.map(({ provider }) => provider), ["groq", "mistral", "anthropic"]);
  await looked("agent-fallbacks");
  await api("DELETE", `/agents/${id}`);
});

test("data to extract: in fields and as JSON, both ways without loss", async () => {
  const schema = { type: "object", title: "Result", properties: { order: { type: "string", minLength: 2 }, items: { type: "array", items: { type: "object" } } }, required: ["order"], additionalProperties: false };
  const id = await made({ name: "Analysis", analysis_plan: { structured_data_plan: schema } });
  await open(at, `#/agents/${id}`, "Analysis");
  const section = await openSection("Analysis");
  await section.getByRole("button", { name: "Add: Field" }).click();
  const field = section.getByRole("group", { name: "field_3" });
  await field.getByLabel("Name", { exact: true }).fill("kind");
  const kind = section.getByRole("group", { name: "kind" });
  await kind.getByLabel("Type").selectOption("choice");
  await kind.getByLabel("Values, with commas between them").pressSequentially("new, old");
  await section.getByRole("button", { name: "JSON", exact: true }).click();
  const json = section.getByLabel("Data to extract (JSON Schema)");
  const wanted = { ...schema, properties: { ...schema.properties, kind: { type: "string", enum: ["new", "old"] } } };
  assert.deepEqual(JSON.parse(await json.inputValue()), wanted);
  await json.fill(JSON.stringify({ ...wanted, description: "By hand" }));
  await section.getByRole("button", { name: "Fields" }).click();
  await section.getByRole("group", { name: "order", exact: true }).getByLabel("What it is").fill("Its number");
  await at.getByRole("button", { name: "Save" }).click();
  await at.getByText("Saved", { exact: true }).waitFor();
  assert.deepEqual((await stored(id)).analysis_plan.structured_data_plan, { ...wanted, description: "By hand", properties: { ...wanted.properties, order: { type: "string", minLength: 2, description: "Its number" } } });
  await looked("agent-analysis");
  await api("DELETE", `/agents/${id}`);
});

test("two people at one agent: the second save is refused, and both changes are merged", async () => {
  const id = await made({ name: "Shared", first_message: "Hello.", description: "Old", silence_config: { prompt: "Still there?" } });
  const other = await page(chromium);
  await logIn(other.page);
  await open(at, `#/agents/${id}`, "Shared");
  await open(other.page, `#/agents/${id}`, "Shared");
  await at.getByLabel("Greeting").fill("Good morning.");
  await at.getByLabel("Notes").fill("Mine");
  await other.page.getByLabel("Business").fill("Theirs Ltd");
  await other.page.getByLabel("Notes").fill("Theirs");
  await other.page.getByRole("button", { name: "Save" }).click();
  await other.page.getByText("Saved", { exact: true }).waitFor();
  await at.getByRole("button", { name: "Save", exact: true }).click();
  await at.getByText("Somebody else has changed this in the meantime.").first().waitFor();
  assert.equal(await at.getByLabel("Greeting").inputValue(), "Good morning.", "nothing typed is lost");
  await looked("agent-conflict-merge");
  await at.getByRole("button", { name: "Merge both changes" }).click();
  await dialog().getByText("Only you have changed:").waitFor();
  await shot(at, "agent-merge");
  assert.deepEqual(await accessibility(at), []);
  await dialog().getByLabel("The other's").check();
  await dialog().getByRole("button", { name: "Merge and save" }).click();
  await dialog().waitFor({ state: "detached" });
  const merged = await stored(id);
  assert.deepEqual([merged.first_message, merged.business_name, merged.description], ["Good morning.", "Theirs Ltd", "Theirs"]);
  // Overwriting keeps the other's version in the list.
  await other.page.getByLabel("Greeting").fill("Overwritten.");
  await other.page.getByRole("button", { name: "Save", exact: true }).click();
  await other.page.getByRole("button", { name: "Save mine anyway" }).click();
  await other.page.getByRole("dialog").getByRole("button", { name: "Save mine anyway" }).click();
  await until("the overwriting", async () => (await stored(id)).first_message === "Overwritten.");
  const { versions } = await api("GET", `/agents/${id}/versions`);
  assert.ok(versions.some(({ agent }) => agent.first_message === "Good morning."));
  assert.equal((await stored(id)).business_name, "Theirs Ltd", "fields that were not touched stay");
  await other.context.close();
  // Any two versions are compared.
  await open(at, "#/agents", "Agents");
  await open(at, `#/agents/${id}`, "Shared");
  await at.getByRole("tab", { name: "Versions" }).click();
  await at.getByLabel("Compare version").selectOption("1");
  await at.getByRole("button", { name: "Compare", exact: true }).click();
  await dialog().getByRole("cell", { name: "first_message" }).waitFor();
  await dialog().getByRole("cell", { name: "Overwritten." }).waitFor();
  assert.deepEqual(await accessibility(at), []);
  await shot(at, "agent-compare");
  await dialog().getByRole("button", { name: "Close" }).click();
  await api("DELETE", `/agents/${id}`);
});

test("what is refused is shown where it stands, and logging out asks about changes that are not saved", async () => {
  const id = await made({ name: "Refused" });
  await open(at, `#/agents/${id}`, "Refused");
  await at.getByLabel("Time zone", { exact: true }).fill("Nowhere/Land");
  const prompt = await openSection("Prompt");
  await prompt.locator("summary").first().click();
  await at.getByRole("button", { name: "Save" }).click();
  await prompt.getByText(/time_zone/).first().waitFor();
  await prompt.getByText("refused").waitFor();
  await looked("agent-refused");
  await at.getByRole("button", { name: "Log out" }).click();
  await dialog().getByText(/not saved/).first().waitFor();
  await dialog().getByRole("button", { name: "Keep editing" }).click();
  assert.equal(await at.getByLabel("Time zone", { exact: true }).inputValue(), "Nowhere/Land");
  await open(at, "#/agents", "Agents");
  await at.getByRole("row", { name: /Refused/ }).getByText(/Unsaved changes/).waitFor();
  await open(at, `#/agents/${id}`, "Refused");
  await at.getByRole("button", { name: "Discard changes" }).click();
  await dialog().getByRole("button", { name: "Discard changes" }).click();
  await dialog().waitFor({ state: "detached" });
  await api("DELETE", `/agents/${id}`);
});

test("a network that is lost in the middle loses nothing", async () => {
  const id = await made({ name: "Offline" });
  await open(at, `#/agents/${id}`, "Offline");
  await at.getByLabel("Greeting").fill("Typed while offline.");
  await at.context().setOffline(true);
  await at.getByRole("button", { name: "Save" }).click();
  await at.getByText("The server cannot be reached").first().waitFor();
  assert.equal(await at.getByLabel("Greeting").inputValue(), "Typed while offline.");
  await at.context().setOffline(false);
  await at.getByRole("button", { name: "Save" }).click();
  await at.getByText("Saved", { exact: true }).waitFor();
  assert.equal((await stored(id)).first_message, "Typed while offline.");
  faults.splice(0);
  await api("DELETE", `/agents/${id}`);
});

test("a new organization is led through its first steps, and a template answers calls", async () => {
  const owner_email = "fresh-owner@example.com";
  const token = await at.evaluate(async (owner_email) => {
    const { organization } = await (await fetch("/v1/auth/me")).json();
    const answer = await fetch("/v1/organizations", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ name: "Fresh", parent_org_id: organization.id, owner_email }) });
    return (await answer.json()).invitation_token;
  }, owner_email);
  const fresh = await page(chromium);
  await fresh.page.goto(`${BASE}/#/invitation/${token}`);
  await fresh.page.getByLabel("New password").fill("a long enough password");
  await fresh.page.getByRole("button", { name: "Get started" }).click();
  const steps = fresh.page.locator(".steps");
  await steps.getByText("Create an agent", { exact: true }).waitFor();
  assert.deepEqual(await accessibility(fresh.page), []);
  await shot(fresh.page, "welcome");
  const hangUp = () => fresh.page.getByRole("button", { name: "Hang up" }).click();
  for (const name of ["Appointments", "Survey", "Voicemail", "Order status", "Receptionist"]) {
    await open(fresh.page, "#/agents/new", "New agent");
    await fresh.page.getByRole("list", { name: "Templates" }).getByRole("button", { name: new RegExp(`^${name}`) }).click();
    const form = fresh.page.getByRole("dialog");
    await form.getByLabel("Business").fill("Corner Shop");
    if (name === "Receptionist") await form.getByLabel("Number of a colleague").fill("+31 20 123 4567");
    if (name === "Order status") await form.getByLabel("Address of your order system").fill(`${BASE}/health`);
    await shot(fresh.page, `template-${name.split(" ")[0].toLowerCase()}`);
    await form.getByRole("button", { name: "Create" }).click();
    await fresh.page.getByRole("heading", { level: 1, name }).waitFor();
  }
  // It answers at once.
  await fresh.page.getByRole("button", { name: "Call with the microphone" }).click();
  await fresh.page.locator(".turns").getByText(/this is Corner Shop/).first().waitFor();
  await hangUp();
  // Without the key of any model, a template takes messages by rules.
  await fresh.page.route("**/v1/providers", (route) => route.fulfill({ json: { providers: [{ name: "openai", key: "none", stages: [] }] } }));
  await open(fresh.page, "#/agents/new", "New agent");
  await fresh.page.getByRole("list", { name: "Templates" }).getByRole("button", { name: /^Voicemail/ }).click();
  await fresh.page.getByRole("dialog").getByLabel("Business").fill("Corner Shop");
  await fresh.page.getByRole("dialog").getByText(/this agent takes messages by rules/).waitFor();
  await fresh.page.getByRole("dialog").getByRole("button", { name: "Create" }).click();
  await fresh.page.getByRole("heading", { level: 1, name: "Voicemail" }).waitFor();
  await fresh.page.unroute("**/v1/providers");
  await open(fresh.page, "#/", "Overview");
  // A carrier's preset fills the trunk, and says what to do there.
  await steps.getByRole("button", { name: "Telnyx" }).click();
  const trunk = fresh.page.getByRole("dialog");
  await trunk.getByText(/^At Telnyx: /).waitFor();
  assert.equal(await trunk.getByLabel("Host").inputValue(), "sip.telnyx.com");
  await trunk.getByRole("button", { name: "Create" }).click();
  await trunk.waitFor({ state: "detached" });
  await open(fresh.page, "#/", "Overview");
  await steps.getByRole("button", { name: "New number" }).click();
  await fresh.page.getByRole("dialog").getByLabel("Number").fill(`+3120${String(Date.now()).slice(-7)}`);
  await fresh.page.getByRole("dialog").getByRole("button", { name: "Create" }).click();
  await fresh.page.getByRole("dialog").waitFor({ state: "detached" });
  await open(fresh.page, "#/", "Overview");
  await steps.getByRole("button", { name: "Set a webhook" }).click();
  await fresh.page.getByRole("dialog").getByLabel("Webhook URL").fill(`${BASE}/hook`);
  await fresh.page.getByRole("dialog").getByRole("button", { name: "Save" }).click();
  await until("five of six", async () => (await fresh.page.getByText("5 of 6").count()) === 1);
  assert.deepEqual(fresh.faults, []);
  await fresh.context.close();
});

test("the editor fits a phone, in the dark and in Dutch", async () => {
  const id = await made(whole(AGENT));
  const phone = await page(chromium, { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, colorScheme: "dark", locale: "nl-NL" });
  await phone.page.goto(`${BASE}/`);
  await phone.page.evaluate(() => localStorage.setItem("trunkline.language", "en"));
  await phone.page.reload();
  await logIn(phone.page);
  await phone.page.evaluate(() => localStorage.setItem("trunkline.language", "nl"));
  await phone.page.reload();
  await open(phone.page, `#/agents/${id}`, "Everything");
  await until("all folds", () => phone.page.evaluate(() => {
    const closed = [...document.querySelectorAll("main details:not([open]) > summary")];
    for (const one of closed) one.click();
    return closed.length === 0;
  }));
  const wide = await phone.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(wide <= 0, `${wide} px too wide`);
  await shot(phone.page, "agent-phone-dark-dutch");
  assert.deepEqual(await accessibility(phone.page), []);
  const english = await phone.page.evaluate(() => [...document.querySelectorAll(".doc, .setting label, .section > summary")].map((one) => one.textContent).filter((text) => /\b(the|and|when|with|which)\b/.test(text) && !text.includes("I can't hear you")));
  assert.deepEqual(english, []);
  await phone.context.close();
  await api("DELETE", `/agents/${id}`);
});

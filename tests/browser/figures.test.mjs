// Numbers over time and the calls behind them, alert rules, a call that is shared, a password that is forgotten.

import assert from "node:assert/strict";
import fs from "node:fs";
import { after, before, test } from "node:test";
import { BASE, EMAIL, PASSWORD, accessibility, api, browser, logIn, open, page, shot, until } from "./support.mjs";

const { TALK, RESET_TOKEN } = process.env;
const NEW_PASSWORD = "a new password of some length";

let chromium;
let at;
let faults;
before(async () => {
  chromium = await browser();
  ({ page: at, faults } = await page(chromium));
  await logIn(at);
});
after(() => chromium.close());

async function looked(name, of = at) {
  await shot(of, name);
  assert.deepEqual(await accessibility(of), [], name);
  assert.deepEqual(faults.splice(0), [], name);
}

const dialog = () => at.getByRole("dialog");

test("why did calls fail: from the figures to the call and its reason", async () => {
  await open(at, "#/analytics", "Analytics");
  await at.getByRole("img", { name: /^Calls · failed: .*2 \(1\)/ }).waitFor();
  await at.getByRole("tab", { name: "By agent" }).waitFor();
  await looked("analytics");
  await at.getByRole("tab", { name: "By end reason" }).click();
  await at.getByRole("link", { name: "busy" }).click();
  await at.getByRole("heading", { name: "Calls", exact: true }).waitFor();
  await at.getByText("Days are in UTC.").waitFor();
  const rows = at.getByRole("table", { name: "Calls" }).locator("tbody tr");
  await rows.first().waitFor();
  assert.equal(await rows.count(), 1);
  await rows.getByRole("link").first().click();
  await at.getByText(/The call failed: busy – SIP 486/).waitFor();
  // Back to the same list.
  await at.getByRole("link", { name: "Back to the list" }).click();
  await rows.first().waitFor();
  assert.equal(await at.getByLabel("End reason").inputValue(), "busy");
});

test("figures are saved as a file", async () => {
  await open(at, "#/analytics?by=provider", "Analytics");
  await at.getByRole("cell", { name: /^\w+ \(LLM\)$/ }).waitFor();
  const saved = at.waitForEvent("download");
  await at.getByRole("button", { name: "Export CSV" }).click();
  const text = fs.readFileSync(await (await saved).path(), "utf8");
  const [header, ...lines] = text.trim().split("\r\n");
  assert.match(header, /^provider,id,stage,calls,/);
  assert.equal(lines.length, 3);
  assert.deepEqual(faults.splice(0), []);
});

test("calls: the next and the one before, turns by the keyboard", async () => {
  await open(at, "#/calls?direction=inbound", "Calls");
  await open(at, "#/calls", "Calls");
  await at.getByRole("table", { name: "Calls" }).getByRole("link").first().click();
  await at.getByText(/The call failed/).waitFor();
  const older = at.getByRole("button", { name: "Older call" });
  await at.waitForFunction(() => [...document.querySelectorAll("button")].some((one) => one.textContent === "Older call" && !one.disabled));
  assert.ok(await at.getByRole("button", { name: "Newer call" }).isDisabled());
  await older.click();
  await at.waitForFunction((id) => location.hash.startsWith(`#/calls/${id}`), TALK);
  await at.getByRole("list", { name: "Transcript" }).waitFor();
  await at.keyboard.press("j");
  await at.keyboard.press("j");
  await at.keyboard.press("k");
  const place = () => at.evaluate(() => [...document.querySelectorAll("ol[aria-label=Transcript] li")].indexOf(document.activeElement));
  assert.equal(await place(), 0);
  await at.keyboard.press("j");
  assert.equal(await place(), 1);
  await looked("call-turn");
});

test("a call is shared with somebody without an account, and taken back", async () => {
  await open(at, `#/calls/${TALK}`, /Call from/);
  await at.getByRole("button", { name: "Share", exact: true }).click();
  await dialog().getByLabel("Works for").selectOption("24");
  await dialog().getByRole("button", { name: "Create a link" }).click();
  const link = dialog().getByRole("textbox", { name: "Link" });
  await link.waitFor();
  assert.deepEqual(await accessibility(at), []);
  await shot(at, "call-share");
  const url = await link.inputValue();
  const token = url.split("/#/shared/")[1];
  const guest = await page(chromium, { viewport: { width: 390, height: 844 } });
  await guest.page.goto(`${BASE}/#/shared/${token}`);
  await guest.page.getByRole("heading", { name: "Shared call" }).waitFor();
  await guest.page.getByRole("list", { name: "Transcript" }).waitFor();
  await guest.page.waitForFunction(() => document.querySelector("audio").duration > 0);
  assert.ok(await guest.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  assert.ok(!(await guest.page.content()).includes("+15550100"), "no numbers");
  assert.equal(await guest.page.locator("meta[name=robots]").getAttribute("content"), "noindex");
  await looked("shared-call", guest.page);
  await dialog().getByRole("button", { name: "Revoke" }).click();
  await at.getByRole("dialog", { name: "Revoke" }).getByRole("button", { name: "Revoke" }).click();
  await link.waitFor({ state: "detached" });
  await guest.page.reload();
  await guest.page.getByText("This link does not work, or no longer").waitFor();
  await looked("shared-gone", guest.page);
  assert.deepEqual(guest.faults, []);
  await guest.context.close();
  await dialog().getByRole("button", { name: "Close" }).click();
});

test("an alert rule is made, refused in words, tested and seen", async () => {
  await open(at, "#/alerts", "Alerts");
  await at.getByText("No alert rules yet").waitFor();
  await looked("alerts-none");
  await at.getByRole("button", { name: "New alert rule" }).first().click();
  await dialog().getByLabel("Name").fill("<b>Failures</b> at night");
  await dialog().getByLabel("E-mail").fill("operations@example.com");
  await dialog().getByRole("button", { name: "Create" }).click();
  await dialog().getByText(/this server sends no mail/).waitFor();
  await dialog().getByLabel("Notify by").selectOption("webhook");
  await dialog().getByLabel("Address").fill(`${BASE}/nothing-here`);
  await dialog().getByLabel("Minimum number of calls").fill("1");
  await shot(at, "alert-form");
  assert.deepEqual(await accessibility(at), []);
  await dialog().getByRole("button", { name: "Create" }).click();
  await at.getByRole("link", { name: "<b>Failures</b> at night" }).click();
  await at.getByRole("button", { name: "Send a test" }).click();
  await at.getByText("A test webhook is on its way.").waitFor();
  // One of two calls has failed.
  await at.getByRole("cell", { name: "Firing" }).waitFor({ timeout: 90_000 });
  await looked("alert");
  await at.getByRole("button", { name: "Edit" }).click();
  await dialog().getByLabel("Threshold (% of calls)").fill("60");
  await dialog().getByRole("button", { name: "Save" }).click();
  await until("the change", async () => (await api("GET", "/alert-rules")).alert_rules[0].threshold === 60);
  await open(at, "#/alerts", "Alerts");
  await looked("alerts");
  await at.getByRole("button", { name: /^Delete: / }).click();
  await dialog().getByRole("button", { name: "Delete" }).click();
  await at.getByText("No alert rules yet").waitFor();
});

test("a forgotten password is set anew, and what was open ends", async () => {
  const guest = await page(chromium, { viewport: { width: 390, height: 844 } });
  await guest.page.goto(`${BASE}/`);
  await guest.page.getByRole("link", { name: "Forgotten password?" }).click();
  await guest.page.getByLabel("E-mail").fill(EMAIL);
  await looked("forgotten", guest.page);
  await guest.page.getByRole("button", { name: "Send the link" }).click();
  await guest.page.getByText(`trunkline reset-password --email ${EMAIL}`).waitFor();
  await guest.page.goto(`${BASE}/#/reset/${RESET_TOKEN}`);
  await guest.page.getByLabel("New password").fill(NEW_PASSWORD);
  await looked("reset", guest.page);
  await guest.page.getByRole("button", { name: "Set the password" }).click();
  await guest.page.getByText("All sessions of this account have ended.").waitFor();
  await guest.page.goto("about:blank");
  await guest.page.goto(`${BASE}/#/reset/${RESET_TOKEN}`);
  await guest.page.getByLabel("New password").fill(PASSWORD);
  await guest.page.getByRole("button", { name: "Set the password" }).click();
  await guest.page.getByText("This link does not work, or no longer").waitFor();
  await guest.page.goto("about:blank");
  await guest.page.goto(`${BASE}/`);
  await guest.page.getByLabel("E-mail").fill(EMAIL);
  await guest.page.getByLabel("Password").fill(NEW_PASSWORD);
  await guest.page.getByRole("button", { name: "Log in" }).click();
  await guest.page.getByRole("heading", { name: "Overview" }).waitFor();
  // The page that was open asks for the password.
  await open(at, "#/keys", "API keys").catch(() => {});
  await at.getByRole("dialog", { name: "Your session has ended" }).waitFor();
  assert.deepEqual(guest.faults, []);
  await guest.context.close();
});

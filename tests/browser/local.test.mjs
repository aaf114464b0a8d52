// The demo's agent that hears and speaks on this machine: any words, from a microphone and from the examples.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { BASE, accessibility, browser, microphone, page, shot, stats, until } from "./support.mjs";

const open_ = [];
after(() => Promise.all(open_.map((one) => one.close())));

async function lookAround(wav, options) {
  const made = await browser(wav);
  open_.push(made);
  const { page: console_, faults } = await page(made, options);
  await console_.goto(`${BASE}/`);
  await console_.getByText("its agent hears and speaks here too").waitFor();
  await console_.getByRole("button", { name: "Look around" }).click();
  await console_.getByText("Say what you like, in English.").waitFor();
  return { console_, faults, lines: console_.getByRole("list", { name: "Live transcript" }) };
}

test("a sentence from the microphone is understood and answered", async () => {
  // A browser on a busy machine drops sound now and then, and is not understood: it is said again.
  const wav = microphone("own-words.wav", 50, [6, 20, 34].map((at) => [at, process.env.SENTENCE]));
  const { console_, faults, lines } = await lookAround(wav);
  assert.deepEqual(await accessibility(console_), []);
  await console_.getByRole("button", { name: "Call with the microphone" }).click();
  await lines.getByText("Good day, this is Corner Shop.").waitFor();
  await lines.getByText("We are open from Monday to Saturday").first().waitFor({ timeout: 45_000 });
  await shot(console_, "local-demo");
  await console_.getByRole("button", { name: "Hang up" }).click();
  await console_.locator(".callstate", { hasText: "ended" }).waitFor();
  assert.deepEqual(faults, []);
});

test("an example is said without a microphone", async () => {
  const { console_, faults, lines } = await lookAround(undefined, { permissions: [] });
  await console_.getByRole("button", { name: "Call without a microphone" }).click();
  await console_.locator(".callstate", { hasText: "connected" }).waitFor();
  await lines.locator("li.assistant").first().waitFor();
  await until("the greeting to end", async () => (await stats(console_)).received > 60);
  await until("an answer", async () => {
    await console_.getByRole("button", { name: "“Is the shop open on Sunday?”" }).click();
    return lines.getByText("We are open from Monday to Saturday").first().waitFor({ timeout: 9_000 }).then(() => true, () => false);
  }, 40_000);
  await console_.getByRole("button", { name: "Hang up" }).click();
  await console_.locator(".callstate", { hasText: "ended" }).waitFor();
  assert.deepEqual(faults, []);
});

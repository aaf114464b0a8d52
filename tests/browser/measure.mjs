// Figures of a browser at a running demo: click to first sound of the agent, and how soon the console is usable.

import { BASE, browser, page } from "./support.mjs";

const CALLS = Number(process.env.CALLS ?? 20);
const LOADS = 10;

const spread = (values) => {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share) => Math.round(sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)]);
  return { count: sorted.length, p50: at(0.5), p95: at(0.95), max: at(1) };
};

const chromium = await browser();
const paints = [];
const usable = [];
for (let load = 0; load < LOADS; load++) {
  const { page: fresh, context } = await page(chromium);
  const started = performance.now();
  await fresh.goto(`${BASE}/`);
  await fresh.getByRole("button", { name: "Look around" }).waitFor();
  usable.push(performance.now() - started);
  paints.push(await fresh.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0].startTime));
  await context.close();
}

const { page: at } = await page(chromium);
await at.goto(`${BASE}/`);
await at.getByRole("button", { name: "Look around" }).click();
const setUps = [];
for (let call = 0; call < CALLS; call++) {
  await at.getByRole("button", { name: "Call without a microphone" }).click();
  await at.locator(".setup").waitFor();
  setUps.push(Number(await at.locator(".setup").textContent()));
  await at.getByRole("button", { name: "Hang up" }).click();
  await at.locator(".callstate", { hasText: "ended" }).waitFor();
}
console.log(JSON.stringify({ first_paint_ms: spread(paints), console_usable_ms: spread(usable), click_to_first_sound_ms: spread(setUps) }, null, 2));
await chromium.close();

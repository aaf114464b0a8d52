// Every page in light and dark, on a desk and on a telephone: judged by axe, nothing sticks out, nothing jumps.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { AGENT, accessibility, api, browser, logIn, open, page, shot } from "./support.mjs";

const SETTINGS = { desk: { viewport: { width: 1280, height: 900 } }, phone: { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true } };
let chromium;
let pages;
before(async () => {
  chromium = await browser();
  const { calls } = await api("GET", "/calls?limit=1");
  const { batch } = await api("POST", "/batches", { name: "A batch that waits" });
  await api("POST", "/tasks", { agent_id: AGENT, to_number: "+15550191", name: "Call back", batch_id: batch.id });
  pages = ["", "agents", "agents/new", `agents/${AGENT}`, "calls", `calls/${calls[0].id}`, "tasks", `tasks?batch=${batch.id}`, "batches", "do-not-call", "numbers", "providers", "webhooks", "health", "usage", "keys", "people", "organizations", "audit", "settings", "nowhere"];
});
after(() => chromium.close());

for (const scheme of ["light", "dark"]) {
  for (const [name, options] of Object.entries(SETTINGS)) {
    test(`every page, ${scheme}, ${name}`, async () => {
      const { page: at, faults, context } = await page(chromium, { ...options, colorScheme: scheme });
      await at.addInitScript(() => {
        window.shifts = [];
        new PerformanceObserver((list) => {
          for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifts.push(entry.value);
        }).observe({ type: "layout-shift", buffered: true });
      });
      await logIn(at);
      for (const hash of pages) {
        await at.evaluate(() => (window.shifts.length = 0));
        await open(at, `#/${hash}`, /./);
        const wide = await at.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(wide <= 0, `${hash} is ${wide} px too wide`);
        const label = hash.replace(/[/?=]/g, "-").replace(/-?[0-9a-f]{8}-[0-9a-f-]{27}/, "-one") || "overview";
        await shot(at, `look-${label}-${scheme}-${name}`);
        assert.deepEqual(await accessibility(at), [], hash);
        const shift = await at.evaluate(() => window.shifts.reduce((sum, one) => sum + one, 0));
        assert.ok(shift < 0.1, `${hash} moves by ${shift.toFixed(3)} while it loads`);
      }
      assert.deepEqual(faults, []);
      await context.close();
    });
  }
}

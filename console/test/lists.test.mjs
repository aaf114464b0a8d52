// Lists that people in several countries have written: bytes, and dates.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { transform } from "esbuild";

process.env.TZ = "Europe/Amsterdam";

async function load(name) {
  const source = await readFile(new URL(`../src/${name}`, import.meta.url), "utf8");
  const { code } = await transform(source, { loader: "ts", format: "esm" });
  return import(`data:text/javascript;base64,${Buffer.from(code).toString("base64")}`);
}

const { columnOrder, readDate } = await load("dates.ts");
const { decode, ListError, parse } = await load("csv.ts");
const iso = (text, order) => readDate(text, order)?.toISOString();

test("a date that may be read in two ways is not read before somebody says how", () => {
  assert.equal(iso("03/04/2026 09:00"), undefined);
  assert.equal(iso("03/04/2026 09:00", "dmy"), "2026-04-03T07:00:00.000Z");
  assert.equal(iso("03/04/2026 09:00", "mdy"), "2026-03-04T08:00:00.000Z");
  assert.equal(iso("3-4-26 9:00 PM", "dmy"), "2026-04-03T19:00:00.000Z");
});

test("a column is read in one order, which any of its dates may show", () => {
  assert.equal(columnOrder(["03/04/2026", "04/05/2026 10:00"]), "ambiguous");
  assert.equal(columnOrder(["03/04/2026", "13/04/2026"]), "dmy");
  assert.equal(columnOrder(["03/04/2026", "04/13/2026"]), "mdy");
  assert.equal(columnOrder(["13/04/2026", "04/13/2026"]), "mixed");
  assert.equal(columnOrder(["03.04.2026"]), "dmy");
  assert.equal(columnOrder(["05/05/2026", "2026-04-03", "", "tomorrow"]), "none");
});

test("a date that is the same everywhere is read at once", () => {
  assert.equal(iso("2026-04-03 09:00"), "2026-04-03T07:00:00.000Z");
  assert.equal(iso("2026-04-03T09:00:00Z"), "2026-04-03T09:00:00.000Z");
  assert.equal(iso("2026-04-03T09:00+0530"), "2026-04-03T03:30:00.000Z");
  assert.equal(iso("13/04/2026 09:00"), "2026-04-13T07:00:00.000Z");
  assert.equal(iso("5/5/2026"), "2026-05-04T22:00:00.000Z");
  assert.equal(iso("3 April 2026 09:00"), "2026-04-03T07:00:00.000Z");
});

test("a day that there is not is none", () => {
  for (const text of ["31/02/2026", "2026-02-30", "32.01.2026", "2026-04-03 25:00", "13:30 PM", "46115", "tomorrow", "13/13/2026", "13/04/2026 13:00 PM"]) {
    assert.equal(iso(text, "dmy"), undefined, text);
  }
});

test("bytes that are not UTF-8 are read as Windows-1252, or refused", () => {
  const bytes = (...all) => new Uint8Array(all.flatMap((one) => (typeof one === "string" ? [...Buffer.from(one, "latin1")] : [one]))).buffer;
  assert.deepEqual(decode(bytes("Jos", 0xe9, " M", 0xfc, "ller")), { text: "José Müller", encoding: "windows-1252" });
  assert.deepEqual(decode(new TextEncoder().encode("\uFEFFJosé").buffer), { text: "José", encoding: "utf-8" });
  assert.deepEqual(decode(bytes(0xff, 0xfe, "J", 0, 0xe9, 0)), { text: "Jé", encoding: "utf-16le" });
  assert.deepEqual(decode(bytes(0xfe, 0xff, 0, "J")), { text: "J", encoding: "utf-16be" });
  for (const wrong of [bytes("a", 0x81, "b"), bytes("a", 0, "b", 0), bytes("a", 0x9d)]) assert.throws(() => decode(wrong), ListError);
});

test("cells in quotes keep their separators", () => {
  assert.deepEqual(parse('a;b\r\n"x;1";"y ""z"""\n'), [["a", "b"], ["x;1", 'y "z"']]);
});

// Headers and other pairs in the form of an agent.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { transform } from "esbuild";

const source = await readFile(new URL("../src/headers.ts", import.meta.url), "utf8");
const { code } = await transform(source, { loader: "ts", format: "esm" });
const { readHeaders, writeHeaders } = await import(`data:text/javascript;base64,${Buffer.from(code).toString("base64")}`);

test("headers are read a line at a time and written back", () => {
  const headers = readHeaders(" X-Queue: vip \n\nUser-to-User: 34;encoding=hex\nX-Link:a:b");
  assert.deepEqual(headers, { "X-Queue": "vip", "User-to-User": "34;encoding=hex", "X-Link": "a:b" });
  assert.equal(writeHeaders(headers), "X-Queue: vip\nUser-to-User: 34;encoding=hex\nX-Link: a:b");
});

test("a line without a colon is sent for the server to refuse", () => {
  assert.deepEqual(readHeaders("X-Queue"), { "X-Queue": "" });
});

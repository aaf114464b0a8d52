// A module of the console for a test, with everything that it imports.

import { build } from "esbuild";
import { fileURLToPath } from "node:url";

const values = new Map();
const storage = {
  get length() { return values.size; },
  key: (index) => [...values.keys()][index] ?? null,
  getItem: (key) => values.get(key) ?? null,
  setItem: (key, value) => void values.set(key, String(value)),
  removeItem: (key) => void values.delete(key),
};
const stand_in = (name, value) => Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
stand_in("sessionStorage", storage);
stand_in("localStorage", storage);
stand_in("navigator", { language: "en" });
stand_in("document", { documentElement: {} });
stand_in("dispatchEvent", () => true);

const folder = fileURLToPath(new URL("../src/", import.meta.url));

/** Modules that are loaded together share what they import. */
export async function load(...names) {
  const contents = names.map((name) => `export * from "./${name}";`).join("\n");
  const { outputFiles } = await build({ stdin: { contents, resolveDir: folder, loader: "ts" }, bundle: true, write: false, format: "esm", jsx: "automatic", jsxImportSource: "preact", loader: { ".css": "empty" }, external: ["/trunkline.js"], logLevel: "silent" });
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].text).toString("base64")}`);
}

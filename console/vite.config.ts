import { type Plugin, defineConfig } from "vite";
import { hashOf } from "./src/keys";

/** `npm run dev` shows the console with the data of this server. */
const server = process.env.TRUNKLINE_URL ?? "http://127.0.0.1:3008";

/**
 * The dictionary has English sentences as keys, which are in the pages already. Built, it has their hashes: a quarter
 * less to load. Two sentences of one hash fail the build.
 */
function shortKeys(): Plugin {
  const seen = new Map<string, string>();
  return {
    name: "short-keys",
    apply: "build",
    enforce: "pre",
    transform(code, id) {
      if (/\/src\/keys\.ts$/.test(id)) return code.replace("const SHORT = false", "const SHORT = true");
      if (!/\/src\/nl(-agent)?\.ts$/.test(id)) return null;
      return code.replace(/^ {2}("(?:[^"\\]|\\.)*"):/gm, (_, literal: string) => {
        const text = JSON.parse(literal) as string;
        const hash = hashOf(text);
        if ((seen.get(hash) ?? text) !== text) throw new Error(`"${text}" and "${seen.get(hash)}" have one hash`);
        seen.set(hash, text);
        return `  "${hash}":`;
      });
    },
  };
}

export default defineConfig({
  plugins: [shortKeys()],
  esbuild: { jsx: "automatic", jsxImportSource: "preact" },
  build: { target: "es2022", assetsInlineLimit: 0, modulePreload: { polyfill: false }, reportCompressedSize: false },
  optimizeDeps: { entries: ["index.html"] },
  server: {
    proxy: Object.fromEntries(["/v1", "/api", "/ws", "/demo", "/docs", "/docs.js", "/docs.css", "/examples", "/trunkline.js", "/trunkline.d.ts", "/health"].map((path) => [path, { target: server, ws: path === "/ws" }])),
  },
});

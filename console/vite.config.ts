import { defineConfig } from "vite";

/** `npm run dev` shows the console with the data of this server. */
const server = process.env.TRUNKLINE_URL ?? "http://127.0.0.1:3008";

export default defineConfig({
  esbuild: { jsx: "automatic", jsxImportSource: "preact" },
  build: { target: "es2022", assetsInlineLimit: 0, modulePreload: { polyfill: false }, reportCompressedSize: false },
  optimizeDeps: { entries: ["index.html"] },
  server: {
    proxy: Object.fromEntries(["/v1", "/api", "/ws", "/demo", "/docs", "/docs.js", "/docs.css", "/examples", "/trunkline.js", "/trunkline.d.ts", "/health"].map((path) => [path, { target: server, ws: path === "/ws" }])),
  },
});

/// <reference types="vitest/config" />
import react from "@vitejs/plugin-react";
import { defaultClientConditions, defineConfig } from "vite";

// Shared memory, which threads in WebAssembly need, is given to isolated pages only.
const isolation = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

export default defineConfig({
  plugins: [react()],
  worker: { format: "es" },
  // The run-time's WebAssembly is asked for by address (src/decoder/backends.ts), and not packed into scripts.
  resolve: { conditions: ["onnxruntime-web-use-extern-wasm", ...defaultClientConditions] },
  optimizeDeps: { exclude: ["onnxruntime-web"] },
  build: {
    outDir: "../src/anymask/studio/static",
    emptyOutDir: true,
    target: "es2023",
    assetsInlineLimit: 0,
  },
  server: { headers: isolation, proxy: { "/api": "http://127.0.0.1:8765" } },
  test: { include: ["tests/**/*.test.ts", "tests/**/*.test.tsx"] },
});

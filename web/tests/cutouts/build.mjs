// Builds the page of the tests into a folder, as the studio's page is built: node build.mjs FOLDER
import { fileURLToPath } from "node:url";
import { build } from "vite";

const [outDir] = process.argv.slice(2);
await build({
  configFile: false,
  logLevel: "error",
  root: fileURLToPath(new URL("./page", import.meta.url)),
  worker: { format: "es" },
  build: { outDir, emptyOutDir: true, target: "es2023", assetsInlineLimit: 0 },
});

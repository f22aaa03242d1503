// Builds the page of the tests into a folder, as the studio's page is built: node build.mjs FOLDER
import { fileURLToPath } from "node:url";
import { build } from "vite";

const [outDir] = process.argv.slice(2);
await build({
  configFile: fileURLToPath(new URL("../../vite.config.ts", import.meta.url)),
  logLevel: "error",
  root: fileURLToPath(new URL("./page", import.meta.url)),
  build: { outDir, emptyOutDir: true, reportCompressedSize: false },
});

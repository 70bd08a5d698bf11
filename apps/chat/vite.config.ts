/** Builds the page into dist/page, where `cria serve` and the package find it. The package itself is built before. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

const root = join(import.meta.dirname, "..", "..");

/** Puts the embedded model beside the page, so that it can run in a browser that has never seen another. */
function defaultModel(): Plugin {
  return {
    name: "default-model",
    generateBundle() {
      const path = join(root, "models", "default.gguf");
      if (existsSync(path))
        this.emitFile({ type: "asset", fileName: "models/default.gguf", source: readFileSync(path) });
    },
  };
}

export default defineConfig({
  root: import.meta.dirname,
  base: "./",
  plugins: [react(), defaultModel()],
  resolve: { alias: { cria: join(root, "dist", "browser.js") } },
  worker: { format: "es" },
  build: {
    outDir: join(root, "dist", "page"),
    emptyOutDir: true,
    target: "es2023",
    modulePreload: { polyfill: false },
  },
});

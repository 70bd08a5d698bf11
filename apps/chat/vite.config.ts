/** Builds the page into dist/page, where `cria serve` and the package find it. The package itself is built before. */
import { createHash } from "node:crypto";
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

/** Tells the service worker which files the page has: all of this build, and those of public/. */
function offlineFiles(): Plugin {
  return {
    name: "offline-files",
    enforce: "post",
    generateBundle(_, bundle) {
      const worker = bundle["sw.js"];
      if (worker?.type !== "chunk") throw new Error("the build has no sw.js");
      const paths = Object.keys(bundle).filter((path) => path !== "sw.js" && !path.endsWith(".map"));
      const hash = createHash("sha256");
      for (const path of paths.sort()) {
        const file = bundle[path];
        hash.update(path).update(file.type === "chunk" ? file.code : file.source);
      }
      const list = JSON.stringify([...paths, "icon.svg"]);
      worker.code = `const __PAGE_FILES__=${list},__PAGE_VERSION__="${hash.digest("hex").slice(0, 16)}";${worker.code}`;
    },
  };
}

export default defineConfig({
  root: import.meta.dirname,
  base: "./",
  plugins: [react(), defaultModel(), offlineFiles()],
  resolve: { alias: { cria: join(root, "dist", "browser.js") } },
  worker: { format: "es" },
  build: {
    outDir: join(root, "dist", "page"),
    emptyOutDir: true,
    target: "es2023",
    modulePreload: { polyfill: false },
    rollupOptions: {
      input: {
        index: join(import.meta.dirname, "index.html"),
        sw: join(import.meta.dirname, "src", "service-worker.ts"),
      },
      output: {
        // A service worker keeps its name: browsers look there for the next version of it.
        entryFileNames: ({ name }) => (name === "sw" ? "sw.js" : "assets/[name]-[hash].js"),
      },
    },
  },
});

/** The package in real Chromium: the same text as in Node, with threads and without, and models kept in the browser. */
import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { load } from "../../src/node.ts";
import { fixture } from "../fixtures-path.ts";
import { writeTinyModel } from "../tiny-model.ts";
import {
  buildInto,
  chromiumIsInstalled,
  openPage,
  type PageServer,
  servePage,
  startChromium,
} from "./page.ts";

/** Of the page: the test's own compiler would rewrite `import`. */
// biome-ignore lint/suspicious/noExplicitAny: what a page imports has no type here
declare const importModule: (path: string) => Promise<any>;

const prompt = "ba de ki lo mu";

/** The embedded model, and SmolLM2 where it was fetched. */
const realModels = [
  join(import.meta.dirname, "..", "..", "models", "default.gguf"),
  fixture("SmolLM2-135M-Instruct.Q4_1.gguf"),
]
  .filter((file) => file !== undefined)
  .flatMap((file) => [true, false].map((isolated) => ({ name: basename(file), file, isolated })));

describe.skipIf(!chromiumIsInstalled())("in Chromium", () => {
  let folder = "";
  let browser: Browser;
  let wanted: readonly number[];
  const servers: PageServer[] = [];
  const serve = async (isolated: boolean) => {
    const server = await servePage(join(folder, "dist"), folder, isolated);
    servers.push(server);
    return server;
  };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "cria-browser-"));
    await buildInto(join(folder, "dist"));
    await writeTinyModel(join(folder, "tiny.gguf"));
    await writeFile(join(folder, "large.bin"), randomBytes(20_000_000));
    using model = await load(join(folder, "tiny.gguf"));
    wanted = (await model.generate(prompt, { temperature: 0, maxTokens: 30 }).result()).ids;
    browser = await startChromium();
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    for (const server of servers) server.close();
    await rm(folder, { recursive: true, force: true });
  });

  it.each([true, false])("gives Node's ids where the page is isolated: %s", async (isolated) => {
    const server = await serve(isolated);
    const page = await openPage(browser, server.url);
    const result = await page.evaluate(
      async ({ text, entry }) => {
        const { load: loadModel } = await importModule(entry);
        const notices: string[] = [];
        const model = await loadModel("/tiny.gguf", {
          store: false,
          onNotice: (line: string) => notices.push(line),
        });
        const { ids } = await model.generate(text, { temperature: 0, maxTokens: 30 }).result();
        // An abort in the midst of a prompt, after which the model still answers.
        const controller = new AbortController();
        const long = Array.from({ length: 200 }, (_, i) => 260 + (i % 90));
        const cut = await model
          .generate(long, {
            signal: controller.signal,
            onPromptProgress: () => controller.abort(),
            maxTokens: 20,
          })
          .result()
          .catch((error: { code: string }) => error.code);
        const again = await model.generate(text, { temperature: 0, maxTokens: 30 }).result();
        model.dispose();
        return { ids, notices, cut, again: again.ids, isolated: crossOriginIsolated };
      },
      { text: prompt, entry: "/dist/browser.js" },
    );
    expect(result).toMatchObject({ ids: wanted, again: wanted, isolated, cut: "aborted" });
    expect(result.notices).toEqual(
      isolated ? [] : [expect.stringMatching(/one thread.*Cross-Origin-Opener-Policy/)],
    );
  });

  it.each(realModels)(
    "gives Node's ids of a real model: $name, isolated: $isolated",
    async ({ file, isolated }) => {
      const options = { temperature: 0, maxTokens: 60, ignoreEnd: true };
      using model = await load(file, { contextLength: 256 });
      const { ids } = await model.generate("Once upon a time", options).result();
      const server = await servePage(join(folder, "dist"), dirname(file), isolated);
      servers.push(server);
      const page = await openPage(browser, server.url);
      const found = await page.evaluate(
        async ({ path, entry, asked }) => {
          const { load: loadModel } = await importModule(entry);
          const there = await loadModel(path, { store: false, contextLength: 256 });
          return (await there.generate("Once upon a time", asked).result()).ids as number[];
        },
        { path: `/${basename(file)}`, entry: "/dist/browser.js", asked: options },
      );
      expect(found).toEqual(ids);
    },
  );

  it("answers the same from models that are loaded one after the other", async () => {
    const server = await serve(true);
    const page = await openPage(browser, server.url);
    const answers = await page.evaluate(
      async ({ text, entry }) => {
        const { load: loadModel } = await importModule(entry);
        const all: number[][] = [];
        for (let turn = 0; turn < 6; turn++) {
          const model = await loadModel("/tiny.gguf", { store: false, threads: 2 });
          for (let time = 0; time < 3; time++)
            all.push((await model.generate(text, { temperature: 0, maxTokens: 30 }).result()).ids);
          // The half of them in the midst of an answer.
          const tokens = model.generate(text, { maxTokens: 30 }).tokens();
          if (turn % 2 === 1) await tokens.next();
          model.dispose();
        }
        return all;
      },
      { text: prompt, entry: "/dist/browser.js" },
    );
    expect(answers).toEqual(Array.from({ length: 18 }, () => wanted));
  });

  it("keeps a model for the next visit, and goes on with a download that was cut", async () => {
    const server = await serve(true);
    const page = await openPage(browser, server.url);
    const store = (cut: boolean) =>
      page.evaluate(
        async ({ module, stops }) => {
          const { storeModel } = await importModule(module);
          const controller = new AbortController();
          const onProgress = ({ receivedBytes }: { receivedBytes: number }) => {
            if (stops && receivedBytes > 0) controller.abort();
          };
          try {
            const file: File = await storeModel(new URL("/large.bin", location.href).href, {
              ...{ signal: controller.signal, onProgress, retries: 0 },
            });
            const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await file.arrayBuffer()));
            return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
          } catch (error) {
            return (error as { code: string }).code;
          }
        },
        { module: "/dist/platform/browser/model-store.js", stops: cut },
      );
    expect(await store(true)).toBe("aborted");
    await page.reload();
    const asked = server.ranges.length;
    const whole = createHash("sha256")
      .update(await readFile(join(folder, "large.bin")))
      .digest("hex");
    expect(await store(false)).toBe(whole);
    // What was there is not fetched again.
    expect(server.ranges.slice(asked)).toEqual(["0-0", "8388608-16777215", "16777216-19999999"]);
    const again = server.ranges.length;
    await store(false);
    expect(server.ranges.slice(again)).toEqual(["0-0"]);
    await page.context().setOffline(true);
    expect(await store(false)).toBe(whole);
    await page.context().setOffline(false);
    const listed = await page.evaluate(async (entry) => {
      const { listModels, deleteModel } = await importModule(entry);
      const before = await listModels();
      await deleteModel(before[0].url);
      return { before, after: await listModels() };
    }, "/dist/browser.js");
    expect(listed).toMatchObject({
      before: [{ totalBytes: 20_000_000, storedBytes: 20_000_000 }],
      after: [],
    });
  });

  it("lets one tab download while another waits, and says when there is no room", async () => {
    const server = await serve(true);
    const context = await browser.newContext();
    const pages = await Promise.all([context.newPage(), context.newPage()]);
    await Promise.all(pages.map((page) => page.goto(server.url)));
    const sizes = await Promise.all(
      pages.map((page) =>
        page.evaluate(async (module) => {
          const { storeModel } = await importModule(module);
          return (await storeModel(new URL("/large.bin", location.href).href)).size;
        }, "/dist/platform/browser/model-store.js"),
      ),
    );
    expect(sizes).toEqual([20_000_000, 20_000_000]);
    expect(server.ranges.filter((range) => range !== "0-0")).toHaveLength(3);
    const refused = await pages[0].evaluate(async (module) => {
      const { storeModel } = await importModule(module);
      navigator.storage.estimate = async () => ({ quota: 1_000_000, usage: 0 });
      return storeModel(new URL("/tiny.gguf?other", location.href).href)
        .then(() => storeModel(new URL("/large.bin?other", location.href).href))
        .catch((error: Error & { code: string }) => ({ code: error.code, message: error.message }));
    }, "/dist/platform/browser/model-store.js");
    expect(refused).toMatchObject({
      code: "no-memory",
      message: expect.stringMatching(/20 MB are needed.*1 MB more/),
    });
  });

  it("frees what a model held: loads and disposals leave memory as it was", async () => {
    const server = await serve(true);
    const page = await openPage(browser, server.url);
    const threads = await page.evaluate(async (entry) => {
      const { load: loadModel } = await importModule(entry);
      for (let i = 0; i < 20; i++) {
        const model = await loadModel("/tiny.gguf", { store: false });
        await model.generate("ba", { maxTokens: 2 }).result();
        model.dispose();
      }
      return true;
    }, "/dist/browser.js");
    expect(threads).toBe(true);
    expect(page.workers().length).toBeLessThan(8);
  });
});

it("is bundled for browsers without anything of Node", async () => {
  const { build } = await import("vite");
  const result = await build({
    ...{ logLevel: "error", configFile: false, root: join(import.meta.dirname, "..", "..") },
    build: {
      write: false,
      minify: true,
      lib: { entry: "src/browser.ts", formats: ["es"] },
      rollupOptions: { external: [] },
    },
  });
  const outputs = (Array.isArray(result) ? result : [result]).flatMap((one) =>
    "output" in one ? one.output : [],
  );
  const code = outputs.flatMap((output) => (output.type === "chunk" ? [output.code] : [])).join("\n");
  expect(code).not.toMatch(/from\s*["']node:|__vite-browser-external/);
  console.log(`bundle for browsers: ${code.length} bytes, ${gzipSync(code).length} compressed`);
});

/** Every op and format in real Chromium: the same bits as in Node, where they are compared with the reference device. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { build } from "vite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createWasmDevice } from "../../src/devices/wasm/device.ts";
import { readPage } from "../../src/platform/node/page-folder.ts";
import { allCases, hashCases } from "../conformance/run-case.ts";
import { type ServedFolder, serveFolder } from "./folder-server.ts";
import { chromiumIsInstalled, openPage, startChromium } from "./page.ts";

/** Of the page: conformance-app/main.ts. */
declare const hashCasesWith: (options: object) => Promise<Record<string, string>>;

describe.skipIf(!chromiumIsInstalled())("every op in Chromium", () => {
  let folder = "";
  let browser: Browser;
  let page: Page;
  let server: ServedFolder;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "cria-conformance-"));
    await build({
      root: join(import.meta.dirname, "conformance-app"),
      ...{ configFile: false, logLevel: "error", base: "./", worker: { format: "es" } },
      build: { outDir: folder, emptyOutDir: true, target: "es2023", chunkSizeWarningLimit: 5000 },
    });
    server = await serveFolder(await readPage(folder));
    browser = await startChromium();
    page = await openPage(browser, server.url);
    await page.waitForFunction(() => "hashCasesWith" in globalThis);
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    await server?.close();
    await rm(folder, { recursive: true, force: true });
  });

  it.each([
    ["on the page's thread", { threads: 0 }, {}],
    ["with two threads", { threads: 2 }, {}],
    ["in a worker that holds the memory", { threads: 1, shared: false }, {}],
    ["without relaxed SIMD", { threads: 0, relaxedSimd: false }, { relaxedSimd: false }],
  ])(
    "gives Node's bits %s",
    async (_, options, here) => {
      const device = await createWasmDevice(here);
      const wanted = await hashCases(device);
      device.dispose();
      expect(Object.keys(wanted)).toHaveLength(allCases.length);
      expect(await page.evaluate((asked) => hashCasesWith(asked), options)).toEqual(wanted);
    },
    120_000,
  );
});

/** `cria/react` in real Chromium, in an app that Vite has bundled. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { build } from "vite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { load } from "../../src/node.ts";
import { readPage } from "../../src/platform/node/page-folder.ts";
import { writeTinyModel } from "../tiny-model.ts";
import { type ServedFolder, serveFolder } from "./folder-server.ts";
import { buildInto, chromiumIsInstalled, openPage, startChromium } from "./page.ts";

const root = join(import.meta.dirname, "..", "..");

describe.skipIf(!chromiumIsInstalled())("an app in React", () => {
  let folder = "";
  // Inside of node_modules, so that what the package needs is found.
  const compiled = join(root, "node_modules", ".cria-react-test");
  let browser: Browser;
  let page: Page;
  let wanted = "";
  let server: ServedFolder;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "cria-react-"));
    await buildInto(compiled);
    await build({
      root: join(import.meta.dirname, "react-app"),
      ...{ configFile: false, logLevel: "warn", base: "./", worker: { format: "es" } },
      resolve: { alias: { "cria/react": join(compiled, "react.js") } },
      build: { outDir: folder, emptyOutDir: true, target: "es2023" },
    });
    await writeTinyModel(join(folder, "tiny.gguf"), { contextLength: 512 });
    using model = await load(join(folder, "tiny.gguf"));
    const messages = [
      { role: "system", content: "ba" },
      { role: "user", content: "ba de ki" },
    ] as const;
    wanted = (await model.chat(messages, { temperature: 0, maxTokens: 200 }).result()).text;
    server = await serveFolder(await readPage(folder));
    browser = await startChromium();
    page = await openPage(browser, server.url);
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    await server?.close();
    await rm(folder, { recursive: true, force: true });
    await rm(compiled, { recursive: true, force: true });
  });

  const press = (name: string) => page.getByRole("button", { name, exact: true }).click();
  const shows = (label: string, text: RegExp) =>
    expect.poll(() => page.getByLabel(label, { exact: true }).innerText(), { timeout: 30_000 }).toMatch(text);
  const said = () => page.getByRole("listitem").allInnerTexts();

  it("loads nothing until it is told what, and says what went wrong", async () => {
    await shows("model", /^idle/);
    await press("Load nothing");
    await shows("model", /^error .*missing\.gguf/);
    await press("Load");
    await shows("model", /^ready Tiny/);
  });

  it("streams the answer that Node gives, and gives it again", async () => {
    await press("Send");
    await shows("status", /ready/);
    const answer = ["user: ba de ki", `assistant: ${wanted}`].map((text) => text.trim());
    const trimmed = async () => (await said()).map((text) => text.trim());
    await expect.poll(trimmed).toEqual(answer);
    await press("Again");
    await shows("status", /answering|ready/);
    await shows("status", /ready/);
    expect(await trimmed()).toEqual(answer);
  });

  it("gives the model's memory back, and loads it again", async () => {
    await press("Unload");
    await shows("model", /^idle/);
    await press("Reload");
    await shows("model", /^ready Tiny/);
    await press("Send");
    await shows("status", /ready/);
    await expect.poll(async () => (await said()).length).toBe(4);
  });
});

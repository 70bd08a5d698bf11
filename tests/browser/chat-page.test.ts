/** The chat page in real Chromium, on the real server: as a person uses it. */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { AxeBuilder } from "@axe-core/playwright";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CONSENT } from "../../apps/chat/src/ratings.ts";
import type { Model } from "../../src/generate/model.ts";
import { load } from "../../src/node.ts";
import { listen } from "../../src/platform/node/listen.ts";
import { readPage } from "../../src/platform/node/page-folder.ts";
import { openSqliteStore } from "../../src/platform/node/sqlite-store.ts";
import { createServer } from "../../src/server/create-server.ts";
import { exampleOf } from "../../src/train/data/example.ts";
import { mainPath, runCria, testEnvironment } from "../cli/run-cria.ts";
import { writeTinyModel } from "../tiny-model.ts";
import { serveFolder } from "./folder-server.ts";
import { chromiumIsInstalled, startChromium } from "./page.ts";

const built = join(import.meta.dirname, "..", "..", "dist", "page");
const isBuilt = existsSync(join(built, "index.html"));
if (!isBuilt) console.warn("skipped: the page is not built; run npm run build && npm run build:page");

describe.skipIf(!chromiumIsInstalled() || !isBuilt)("the chat page", () => {
  let folder = "";
  let dataFile = "";
  let browser: Browser;
  let url = "";
  let stop = () => {};

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "cria-page-"));
    dataFile = join(folder, "page.sqlite");
    await writeTinyModel(join(folder, "tiny.gguf"), { contextLength: 512 });
    ({ url, stop } = await startServer(["--data", dataFile]));
    browser = await startChromium();
  }, 60_000);
  afterAll(async () => {
    await browser?.close();
    stop();
    await rm(folder, { recursive: true, force: true });
  });

  async function startServer(flags: readonly string[]): Promise<{ url: string; stop: () => void }> {
    const command = ["serve", join(folder, "tiny.gguf"), "--port", "0", "--page", built, ...flags];
    const child = spawn(process.execPath, [mainPath, ...command], { env: testEnvironment() });
    const address = await new Promise<string>((resolve, reject) => {
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        const match = /http:\/\/\S+/.exec(text);
        if (match) resolve(match[0]);
      });
      child.on("exit", (code) => reject(new Error(`cria serve ended with code ${code}`)));
    });
    return { url: address, stop: () => child.kill("SIGKILL") };
  }

  async function open(options: { width?: number; dark?: boolean; routed?: boolean } = {}): Promise<Page> {
    const context = await browser.newContext({
      viewport: { width: options.width ?? 1200, height: 800 },
      colorScheme: options.dark ? "dark" : "light",
      acceptDownloads: true,
      // Requests of a page with a service worker cannot be held back.
      serviceWorkers: options.routed ? "block" : "allow",
    });
    const page = await context.newPage();
    page.on("pageerror", (error) => console.error("in the page:", error));
    await page.goto(url);
    await page.getByText("tiny", { exact: true }).waitFor();
    await page.getByText("Chats are kept").waitFor({ state: "attached" });
    if (options.width === 390) await page.getByRole("button", { name: "Chats", exact: true }).click();
    await page.getByRole("button", { name: "New chat" }).click();
    return page;
  }

  async function say(page: Page, text: string): Promise<void> {
    await page.getByLabel("Message", { exact: true }).fill(text);
    await page.keyboard.press("Enter");
    // Of the new answer: earlier ones have theirs all the time.
    await answers(page).last().getByRole("button", { name: "Again" }).waitFor({ timeout: 60_000 });
  }

  async function exportPreferences(page: Page): Promise<string> {
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "Export preferences" }).click(),
    ]);
    return readFile(await download.path(), "utf8");
  }

  const answers = (page: Page) => page.getByRole("article", { name: "Model" });

  it("answers, and keeps the chat over a reload", async () => {
    const page = await open();
    await say(page, "hello there");
    const text = await answers(page).innerText();
    expect(text.length).toBeGreaterThan(10);
    await page.reload();
    await expect.poll(() => answers(page).allInnerTexts()).toEqual([text]);
  });

  it("regenerates and edits as branches that can be gone back to", async () => {
    const page = await open();
    await say(page, "first question");
    await page.getByRole("button", { name: "Again" }).click();
    await page.getByText("2 of 2").waitFor();
    await page.getByRole("button", { name: "Previous version" }).click();
    await page.getByText("1 of 2").waitFor();
    await page.getByRole("button", { name: "Edit", exact: true }).click();
    await page.getByLabel("Edit the message").fill("second question");
    await page.locator(".editor").getByRole("button", { name: "Send" }).click();
    await page.getByRole("article", { name: "You" }).getByText("second question").waitFor();
    await page.getByRole("button", { name: "Previous version" }).first().click();
    await page.getByRole("article", { name: "You" }).getByText("first question").waitFor();
  });

  it("stops an answer", async () => {
    const page = await open();
    await page.getByLabel("Message", { exact: true }).fill("go on");
    await page.keyboard.press("Enter");
    const button = page.getByRole("button", { name: "Stop" });
    // A tiny model may be done before the hand is there.
    await button.click({ timeout: 2000 }).catch(() => {});
    await page.getByRole("button", { name: "Send" }).waitFor();
  });

  it("shows each token's probability and what else was likely", async () => {
    const page = await open();
    await say(page, "tokens please");
    await page.getByRole("button", { name: "Tokens", exact: true }).click();
    await page.locator(".token").nth(2).click();
    expect(await page.locator(".alternatives tr").count()).toBe(5);
    expect(await page.locator(".alternatives caption").innerText()).toMatch(/\d+\.\d %/);
  });

  it("turns a thumb and a better answer into preferences that training takes as they are", async () => {
    const page = await open();
    await say(page, "rate me");
    await page.getByRole("button", { name: "Bad answer" }).click();
    await page.getByLabel("A better answer").fill("a better one");
    await page.getByLabel("What is wrong with it?").fill("too long");
    await page.getByRole("button", { name: "Save" }).click();
    // Nothing is kept without consent.
    expect(await exportPreferences(page)).toBe("");
    await page.getByRole("button", { name: "Bad answer" }).click();
    await page.getByLabel("Keep this conversation and my rating").check();
    await page.getByRole("button", { name: "Save" }).click();
    await expect.poll(() => exportPreferences(page)).not.toBe("");
    const path = join(folder, "preferences.jsonl");
    await writeFile(path, await exportPreferences(page));
    const fields = JSON.parse(await readFile(path, "utf8")) as Record<string, unknown>;
    expect(exampleOf({ fields, where: "export" })).toMatchObject({
      kind: "preference",
      prompt: [{ role: "user", content: "rate me" }],
      chosen: [{ role: "assistant", content: "a better one" }],
    });
    using store = openSqliteStore(dataFile);
    const [rating] = store.ratings();
    expect(rating).toMatchObject({
      liked: false,
      reason: "too long",
      settings: { temperature: 0.8 },
      consent: CONSENT,
      model: {
        name: "tiny",
        hash: createHash("sha256")
          .update(await readFile(join(folder, "tiny.gguf")))
          .digest("hex"),
      },
    });
    const recipe = join(folder, "align.yaml");
    await writeFile(
      recipe,
      JSON.stringify({
        ...{ name: "aligned", kind: "dpo", base: join(folder, "tiny.gguf"), data: [{ path }], validation: 0 },
        ...{
          output: join(folder, "aligned"),
          steps: 2,
          schedule: { rate: 0.001 },
          batch: { windows: 2, length: 512 },
        },
      }),
    );
    const trained = await runCria(["train", "dpo", recipe]);
    expect(trained).toMatchObject({ code: 0 });
  }, 120_000);

  it("keeps chats on the server that gives the page", async () => {
    const page = await open();
    await say(page, "remember the server");
    await page.getByText("Chats are kept on the server").waitFor();
    const elsewhere = await open();
    await elsewhere.getByRole("button", { name: "remember the server", exact: true }).click();
    await elsewhere.getByRole("article", { name: "You" }).getByText("remember the server").waitFor();
    await elsewhere.getByRole("button", { name: "Delete remember the server" }).click();
    using store = openSqliteStore(dataFile);
    await expect.poll(() => JSON.stringify(store.chats())).not.toContain("remember the server");
  });

  it("opens without a server after the first visit, and chats with the model it brought", async () => {
    const context = await browser.newContext();
    const page = await context.newPage();
    const server = await serveFolder(await readPage(built));
    await page.goto(server.url);
    await page.evaluate(() => navigator.serviceWorker.ready.then(() => {}));
    await server.close();
    await page.reload();
    await page.getByText("No server here").waitFor();
    await page.getByRole("button", { name: "Settings" }).click();
    await page.getByRole("button", { name: "In this browser: the small one" }).click();
    await page.getByText("(this browser)").waitFor({ timeout: 60_000 });
    await page.getByRole("button", { name: "Settings" }).click();
    await say(page, "Tell me a story.");
    expect((await answers(page).innerText()).length).toBeGreaterThan(40);
    await page.getByText("Chats are kept in this browser").waitFor();
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
    await context.close();
  }, 120_000);

  it("downloads a model, lists it with its size, and deletes it", async () => {
    const page = await open();
    await page.getByRole("button", { name: "Settings" }).click();
    await page.getByLabel("In this browser, from an address").fill(`${url}/models/default.gguf`);
    await page.getByRole("button", { name: "Load", exact: true }).click();
    await page.getByText("(this browser)").waitFor({ timeout: 60_000 });
    const list = page.getByRole("region", { name: "Downloaded models" });
    await list.getByText("default.gguf").waitFor();
    expect(await list.innerText()).toMatch(/2\.\d MB/);
    await list.getByRole("button", { name: "Delete default.gguf" }).click();
    await expect.poll(() => list.getByText("default.gguf").count()).toBe(0);
  }, 90_000);

  it("goes on with an answer while another chat is shown, and shows each in its place", async () => {
    const page = await open();
    await page.getByLabel("Message", { exact: true }).fill("the long one");
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "New chat" }).click();
    await page.getByText("A Llama on your own device").waitFor();
    await page.getByRole("button", { name: "Send" }).waitFor({ timeout: 60_000 });
    expect(await answers(page).count()).toBe(0);
    await page.getByRole("button", { name: "the long one", exact: true }).first().click();
    await expect.poll(async () => (await answers(page).innerText()).length).toBeGreaterThan(40);
  }, 90_000);

  it("has threads from the second visit on where the host sets no headers", async () => {
    const server = await serveFolder(await readPage(built), false);
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(server.url);
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(false);
    await page.evaluate(() => navigator.serviceWorker.ready.then(() => {}));
    await page.reload();
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
    await context.close();
    await server.close();
  });

  it("asks for the key of a server that wants one", async () => {
    const own = await startServer(["--api-key", "secret", "--no-data"]);
    const page = await (await browser.newContext()).newPage();
    await page.goto(own.url);
    await page.getByText("The server wants its API key").waitFor();
    await page.getByRole("button", { name: "Settings" }).click();
    await page.getByLabel("API key of the server").fill("secret");
    await page.getByRole("button", { name: "Use this key" }).click();
    await page.getByText("tiny", { exact: true }).waitFor();
    await say(page, "with the key");
    expect((await answers(page).innerText()).length).toBeGreaterThan(10);
    own.stop();
  });

  it("finds chats by their words, and brings exported ones back", async () => {
    const page = await open();
    await say(page, "a walrus at noon");
    const [file] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "Export chats" }).click(),
    ]);
    const buffer = await readFile(await file.path());
    const listed = page.getByRole("button", { name: "a walrus at noon", exact: true });
    await page.getByLabel("Search in chats").fill("no such words");
    expect(await listed.count()).toBe(0);
    await page.getByLabel("Search in chats").fill("WALRUS");
    await page.getByRole("button", { name: "Delete a walrus at noon" }).click();
    await expect.poll(() => listed.count()).toBe(0);
    await page
      .getByLabel("Import chats")
      .setInputFiles({ name: "chats.json", mimeType: "application/json", buffer });
    await listed.click();
    await page.getByRole("article", { name: "You" }).getByText("a walrus at noon").waitFor();
  });

  it("says what is wrong with a file of chats", async () => {
    const page = await open();
    const buffer = Buffer.from('[{"id": "x"}]');
    await page
      .getByLabel("Import chats")
      .setInputFiles({ name: "chats.json", mimeType: "application/json", buffer });
    await page.getByRole("alert").getByText("entry 1 of the file is no chat").waitFor();
    const loop = { id: "a", parent: "a", role: "user", content: "round" };
    const chat = { id: "loop", title: "loop", system: "", changed: 1, leaf: "a" };
    const circle = Buffer.from(
      JSON.stringify([
        { ...chat, nodes: [] },
        { ...chat, nodes: [loop] },
      ]),
    );
    await page
      .getByLabel("Import chats")
      .setInputFiles({ name: "chats.json", mimeType: "application/json", buffer: circle });
    await page.getByRole("alert").getByText("entry 2 of the file is no chat").waitFor();
  });

  it("turns dark when told to, and stays so", async () => {
    const page = await open();
    const paper = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
    const light = await paper();
    await page.getByRole("button", { name: "Settings" }).click();
    await page.getByLabel("Colours").selectOption("dark");
    const dark = await paper();
    expect(dark).not.toBe(light);
    await page.reload();
    expect(await paper()).toBe(dark);
  });

  it("weighs less than 300 kB before a model is loaded", async () => {
    const context = await browser.newContext({ serviceWorkers: "block" });
    const page = await context.newPage();
    const paths = new Set<string>();
    page.on("request", (request) => paths.add(new URL(request.url()).pathname.slice(1) || "index.html"));
    await page.goto(url);
    await page.getByText("tiny", { exact: true }).waitFor();
    const files = await readPage(built);
    const sizes = [...paths].flatMap((path) => {
      const bytes = files.get(path);
      return bytes ? [gzipSync(bytes).length] : [];
    });
    expect(sizes.length).toBeGreaterThan(2);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(300_000);
    await context.close();
  });

  it("shows what a message says, and runs none of it", async () => {
    const page = await open();
    await say(page, '<img src=x onerror="document.title=1">');
    const { title, images } = await page.evaluate(() => ({
      title: document.title,
      images: document.images.length,
    }));
    expect({ title, images }).toEqual({ title: "Cria", images: 0 });
    await page.getByRole("article", { name: "You" }).getByText("<img src=x").waitFor();
  });

  it("runs a model in this browser as well", async () => {
    const page = await open();
    await page.getByRole("button", { name: "Settings" }).click();
    await page.getByLabel("Or a file").setInputFiles(join(folder, "tiny.gguf"));
    await page.getByText("Tiny (this browser)").waitFor({ timeout: 30_000 });
    await page.getByRole("button", { name: "Settings" }).click();
    await say(page, "in the browser");
    expect((await answers(page).innerText()).length).toBeGreaterThan(10);
  });

  it("works over plain HTTP from another machine, where browsers give pages less", async () => {
    const own = await startServer(["--allow-host", "cria.test", "--no-data"]);
    const other = await startChromium("--host-resolver-rules=MAP cria.test 127.0.0.1");
    const page = await other.newPage();
    await page.goto(own.url.replace("127.0.0.1", "cria.test"));
    expect(await page.evaluate(() => isSecureContext)).toBe(false);
    await page.getByText("tiny", { exact: true }).waitFor();
    await say(page, "from elsewhere");
    await page.getByRole("button", { name: "Copy" }).click();
    await page.getByLabel("Message", { exact: true }).fill("");
    await page.keyboard.press("Control+V");
    expect((await page.getByLabel("Message", { exact: true }).inputValue()).length).toBeGreaterThan(10);
    await other.close();
    own.stop();
  });

  it("takes what another tab has kept before it goes on with the same chat", async () => {
    const one = await open();
    await say(one, "two tabs");
    const other = await open();
    await other.getByRole("button", { name: "two tabs", exact: true }).first().click();
    await say(other, "from the other tab");
    await one.evaluate(() => window.dispatchEvent(new Event("focus")));
    await one.getByRole("article", { name: "You" }).getByText("from the other tab").waitFor();
    await say(one, "from the first tab");
    using store = openSqliteStore(dataFile);
    await expect.poll(() => JSON.stringify(store.chats())).toContain("from the first tab");
    const kept = store.chats().find((chat) => JSON.stringify(chat).includes("from the first tab"));
    expect(JSON.stringify(kept)).toContain("from the other tab");
  });

  it("keeps no rating whose consent is taken back while it is being kept", async () => {
    const page = await open({ routed: true });
    await say(page, "forget this again");
    await page.route("**/page/ratings", async (route) => {
      await new Promise((resolve) => setTimeout(resolve, 1000));
      await route.continue();
    });
    const consent = page.getByLabel("Keep this conversation and my rating");
    await page.getByRole("button", { name: "Good answer" }).click();
    await consent.check();
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByRole("button", { name: "Good answer" }).click();
    await consent.uncheck();
    await page.getByRole("button", { name: "Save" }).click();
    // Three requests, of which two take a second.
    await page.waitForTimeout(4000);
    using store = openSqliteStore(dataFile);
    await expect.poll(() => JSON.stringify(store.ratings())).not.toContain("forget this again");
  });

  it.each([375, 1200])("holds a model's long name at a width of %i", async (width) => {
    const own = await startServer(["--alias", "a_long_name_".repeat(9), "--no-data"]);
    const page = await browser.newPage({ viewport: { width, height: 800 } });
    await page.goto(own.url);
    await page.getByText("a_long_name").first().waitFor();
    const widths = () =>
      page.evaluate(() =>
        [document.documentElement, ...document.querySelectorAll("header, main, aside, fieldset")].map(
          (element) => Math.max(element.getBoundingClientRect().right, element.scrollWidth),
        ),
      );
    expect(Math.max(...(await widths()))).toBeLessThanOrEqual(width);
    await page.getByRole("button", { name: "Settings" }).click();
    expect(Math.max(...(await widths()))).toBeLessThanOrEqual(width);
    own.stop();
  });

  it("waits for a server that is loading its model", async () => {
    const model = await load(join(folder, "tiny.gguf"), { threads: 1 });
    let loaded: (model: Model) => void = () => {};
    const promise = new Promise<Model>((resolve) => {
      loaded = resolve;
    });
    using server = createServer({ model: promise, page: await readPage(built) });
    const listener = await listen(server, { port: 0 });
    const page = await browser.newPage();
    await page.goto(listener.url);
    await page.getByText("The server is loading its model").waitFor();
    loaded(model);
    await page.getByText("Tiny", { exact: true }).waitFor();
    expect(await page.getByText("The server is loading its model").count()).toBe(0);
    await page.close();
    await listener.close(0);
    model.dispose();
  });

  it("keeps an edited message that cannot be sent yet", async () => {
    const page = await open({ routed: true });
    await say(page, "first words");
    let go = () => {};
    const held = new Promise<void>((resolve) => {
      go = resolve;
    });
    await page.route("**/v1/chat/completions", async (route) => {
      await held;
      await route.continue();
    });
    await page.getByRole("button", { name: "Edit", exact: true }).click();
    await page.getByLabel("Message", { exact: true }).fill("more words");
    await page.getByLabel("Message", { exact: true }).press("Enter");
    await page.getByRole("button", { name: "Stop" }).waitFor();
    await page.getByLabel("Edit the message").fill("other words");
    await page.locator(".editor").getByRole("button", { name: "Send" }).click();
    expect(await page.getByLabel("Edit the message").inputValue()).toBe("other words");
    go();
    await page.getByRole("button", { name: "Send" }).last().waitFor({ timeout: 60_000 });
    await page.locator(".editor").getByRole("button", { name: "Send" }).click();
    await page.getByRole("article", { name: "You" }).getByText("other words").waitFor();
  });

  async function importChat(page: Page, title: string, answer: string): Promise<void> {
    const question = { id: `${title}-0`, role: "user", content: title };
    const nodes = [question, { id: `${title}-1`, parent: question.id, role: "assistant", content: answer }];
    const chat = { id: title, title, system: "", changed: 1, nodes, leaf: `${title}-1` };
    const buffer = Buffer.from(JSON.stringify([chat]));
    await page
      .getByLabel("Import chats")
      .setInputFiles({ name: "chats.json", mimeType: "application/json", buffer });
    await page.getByRole("button", { name: title, exact: true }).click();
    await page.getByRole("article", { name: "You" }).getByText(title, { exact: true }).waitFor();
  }

  it("shows as it is what cannot be drawn, and opens again", async () => {
    const page = await open();
    await importChat(page, "deep quotes", ">".repeat(3000));
    await page.getByText(">>>>>>>>").waitFor();
    await page.getByRole("button", { name: "Delete deep quotes" }).click();
    await page.getByText("A Llama on your own device").waitFor();
  });

  it("asks no stranger for an image, and opens links beside the chat", async () => {
    const page = await open();
    await importChat(
      page,
      "away",
      "![alt](https://a.example/i.png) [b](https://b.example) [c](javascript:x)\n\n- [x] d",
    );
    const links = await answers(page)
      .locator("a")
      .evaluateAll((found) =>
        found.map((link) => `${link.getAttribute("href")} ${link.getAttribute("target")}`),
      );
    expect(links).toEqual(["https://a.example/i.png _blank", "https://b.example _blank"]);
    expect(await page.evaluate(() => document.images.length)).toBe(0);
    const { violations } = await new AxeBuilder({ page }).analyze();
    expect(violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`)).toEqual([]);
    await page.getByRole("button", { name: "Delete away" }).click();
  });

  it("opens a chat at its end, and prints all of it", async () => {
    const page = await open();
    await importChat(page, "long read", "A paragraph.\n\n".repeat(200));
    const left = () =>
      page.locator(".messages").evaluate((box) => box.scrollHeight - box.clientHeight - box.scrollTop);
    await expect.poll(left).toBeLessThan(2);
    expect((await page.pdf()).toString("latin1").match(/\/Type \/Page\b/g)?.length).toBeGreaterThan(3);
    await page.getByRole("button", { name: "Delete long read" }).click();
  });

  it("never leaves the keyboard nowhere", async () => {
    const page = await open();
    await importChat(page, "keys", "an answer");
    const press = async (name: string): Promise<string> => {
      await page.getByRole("button", { name, exact: true }).last().focus();
      await page.keyboard.press("Enter");
      return focused();
    };
    const focused = () =>
      page.evaluate(() => document.activeElement?.ariaLabel ?? document.activeElement?.textContent ?? "");
    await press("Edit");
    await expect.poll(focused).toBe("Edit the message");
    await page.keyboard.press("Escape");
    await expect.poll(focused).toBe("Edit");
    await press("Good answer");
    await press("Save");
    await expect.poll(focused).toBe("Good answer");
    await press("Settings");
    await expect.poll(focused).toBe("Settings");
    expect(await page.evaluate(() => document.activeElement?.tagName)).toBe("ASIDE");
    await page.keyboard.press("Escape");
    await expect.poll(() => page.evaluate(() => document.activeElement?.tagName)).toBe("BUTTON");
    await press("Again");
    await expect.poll(focused).toBe("Message");
    await page.getByRole("button", { name: "Send" }).waitFor({ timeout: 60_000 });
    await press("Delete keys");
    expect(await focused()).not.toBe("");
    expect(await page.evaluate(() => document.activeElement?.tagName)).toBe("BUTTON");
  }, 90_000);

  it("keeps an answer that a reload cuts off, so that it can be made again", async () => {
    const page = await open({ routed: true });
    await page.route("**/v1/chat/completions", () => {});
    await page.getByLabel("Message", { exact: true }).fill("cut off by a reload");
    await page.keyboard.press("Enter");
    using store = openSqliteStore(dataFile);
    await expect.poll(() => JSON.stringify(store.chats())).toContain("cut off by a reload");
    await page.waitForTimeout(300);
    await page.unrouteAll();
    await page.reload();
    await page.getByRole("article", { name: "You" }).getByText("cut off by a reload").waitFor();
    await page.getByRole("button", { name: "Again", exact: true }).waitFor();
  });

  it("keeps later what a server that was away could not keep", async () => {
    const page = await open({ routed: true });
    await page.route("**/page/chats", (route) => route.abort());
    await say(page, "while the server was away");
    await page.unrouteAll();
    await page.evaluate(() => window.dispatchEvent(new Event("focus")));
    using store = openSqliteStore(dataFile);
    await expect.poll(() => JSON.stringify(store.chats())).toContain("while the server was away");
  });

  it("says so where the browser lets it keep nothing", async () => {
    const context = await browser.newContext({ serviceWorkers: "block" });
    await context.addInitScript(() => {
      Object.defineProperty(window, "indexedDB", {
        get: () => {
          throw new DOMException("The operation is insecure.", "SecurityError");
        },
      });
    });
    const page = await context.newPage();
    const server = await serveFolder(await readPage(built));
    await page.goto(server.url);
    await page.getByText("Chats are kept only until this page is closed").waitFor();
    expect(await page.getByRole("alert").count()).toBe(0);
    await context.close();
    await server.close();
  });

  it("says from where it may not load a model", async () => {
    const page = await open();
    await page.getByRole("button", { name: "Settings" }).click();
    await page.getByLabel("In this browser, from an address").fill("https://models.example/model.gguf");
    await page.getByRole("button", { name: "Load", exact: true }).click();
    await page.getByText("Hugging Face only, not from models.example").waitFor();
  });

  it.each([
    { width: 1200, dark: false },
    { width: 1200, dark: true },
    { width: 390, dark: false },
  ])("is accessible at %o", async (options) => {
    const page = await open(options);
    await say(page, "is this readable?");
    if (process.env.CRIA_SCREENSHOTS)
      await page.screenshot({
        path: join(process.env.CRIA_SCREENSHOTS, `page-${options.width}${options.dark ? "-dark" : ""}.png`),
      });
    const { violations } = await new AxeBuilder({ page }).analyze();
    expect(violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`)).toEqual([]);
  });
});

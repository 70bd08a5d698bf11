/** The chat page in real Chromium, on the real server with a tiny model: what its tests share. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Locator, Page } from "playwright-core";
import { afterAll, beforeAll } from "vitest";
import type { Chat } from "../../apps/chat/src/tree.ts";
import { mainPath, testEnvironment } from "../cli/run-cria.ts";
import { writeTinyModel } from "../tiny-model.ts";
import { chromiumIsInstalled, startChromium } from "./page.ts";

export const built: string = join(import.meta.dirname, "..", "..", "dist", "page");

/** Says why not. */
export function pageCanBeShown(): boolean {
  const isBuilt = existsSync(join(built, "index.html"));
  if (!isBuilt) console.warn("skipped: the page is not built; run npm run build && npm run build:page");
  return chromiumIsInstalled() && isBuilt;
}

export interface OpenOptions {
  readonly width?: number;
  readonly dark?: boolean;
  /** Whether requests are to be held back, which those of a page with a service worker cannot be. */
  readonly routed?: boolean;
}

export interface Site {
  /** With tiny.gguf in it. */
  readonly folder: string;
  /** What the server keeps. */
  readonly dataFile: string;
  readonly browser: Browser;
  readonly url: string;
  /** The page with a new chat, in a browser that has never seen it. */
  open(options?: OpenOptions): Promise<Page>;
  /** Another server of the same model. */
  startServer(flags: readonly string[]): Promise<{ readonly url: string; stop(): void }>;
}

/** A server and a browser for the tests of one file. */
export function setUpSite(): Site {
  let folder = "";
  let browser: Browser | undefined;
  let server: { url: string; stop(): void } | undefined;

  async function startServer(flags: readonly string[]): Promise<{ url: string; stop(): void }> {
    const command = ["serve", join(folder, "tiny.gguf"), "--port", "0", "--page", built, ...flags];
    const child = spawn(process.execPath, [mainPath, ...command], { env: testEnvironment() });
    const url = await new Promise<string>((resolve, reject) => {
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        const match = /http:\/\/\S+/.exec(text);
        if (match) resolve(match[0]);
      });
      child.on("exit", (code) => reject(new Error(`cria serve ended with code ${code}`)));
    });
    return { url, stop: () => child.kill("SIGKILL") };
  }

  const site: Site = {
    get folder() {
      return folder;
    },
    get dataFile() {
      return join(folder, "page.sqlite");
    },
    get browser() {
      return browser as Browser;
    },
    get url() {
      return server?.url ?? "";
    },
    startServer,
    async open(options = {}) {
      const context = await site.browser.newContext({
        viewport: { width: options.width ?? 1200, height: 800 },
        colorScheme: options.dark ? "dark" : "light",
        acceptDownloads: true,
        serviceWorkers: options.routed ? "block" : "allow",
      });
      const page = await context.newPage();
      page.on("pageerror", (error) => console.error("in the page:", error));
      await page.goto(site.url);
      await page.getByText("tiny", { exact: true }).waitFor();
      await page.getByText("Chats are kept").waitFor({ state: "attached" });
      if (options.width !== undefined && options.width < 740)
        await page.getByRole("button", { name: "Chats", exact: true }).click();
      await page.getByRole("button", { name: "New chat" }).click();
      return page;
    },
  };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "cria-page-"));
    await writeTinyModel(join(folder, "tiny.gguf"), { contextLength: 512 });
    server = await startServer(["--data", site.dataFile]);
    browser = await startChromium();
  }, 60_000);
  afterAll(async () => {
    await browser?.close();
    server?.stop();
    await rm(folder, { recursive: true, force: true });
  });
  return site;
}

/** Says something, and waits for the whole answer. */
export async function say(page: Page, text: string): Promise<void> {
  await page.getByLabel("Message", { exact: true }).fill(text);
  await page.keyboard.press("Enter");
  // Of the new answer: earlier ones have theirs all the time.
  await answers(page).last().getByRole("button", { name: "Again" }).waitFor({ timeout: 60_000 });
}

export function answers(page: Page): Locator {
  return page.getByRole("article", { name: "Model" });
}

/** What the person said. */
export function questions(page: Page): Locator {
  return page.getByRole("article", { name: "You" });
}

/** The text of the file that a button gives. */
export async function exported(page: Page, button: string): Promise<string> {
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("button", { name: button }).click(),
  ]);
  return readFile(await download.path(), "utf8");
}

/** Chooses a file of chats. */
export async function importText(page: Page, text: string): Promise<void> {
  await page
    .getByLabel("Import chats")
    .setInputFiles({ name: "chats.json", mimeType: "application/json", buffer: Buffer.from(text) });
}

/** A chat of one question, which is the title as well, and its answer. */
export function chatOf(title: string, answer: string): Chat {
  const question = { id: `${title}-0`, parent: undefined, role: "user", content: title } as const;
  const node = { id: `${title}-1`, parent: question.id, role: "assistant", content: answer } as const;
  const nodes = [question, node];
  return { id: title, title, system: "", changed: 1, nodes, leaf: `${title}-1` };
}

/** Brings such a chat in, and opens it. */
export async function importChat(page: Page, title: string, answer: string): Promise<void> {
  await importText(page, JSON.stringify([chatOf(title, answer)]));
  await page.getByRole("button", { name: title, exact: true }).click();
  await questions(page).getByText(title, { exact: true }).waitFor();
}

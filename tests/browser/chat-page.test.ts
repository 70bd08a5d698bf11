/** The chat page in real Chromium, on the real server: as a person uses it. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AxeBuilder } from "@axe-core/playwright";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { exampleOf } from "../../src/train/data/example.ts";
import { mainPath, testEnvironment } from "../cli/run-cria.ts";
import { writeTinyModel } from "../tiny-model.ts";
import { chromiumIsInstalled, startChromium } from "./page.ts";

const built = join(import.meta.dirname, "..", "..", "dist", "page");
const isBuilt = existsSync(join(built, "index.html"));
if (!isBuilt) console.warn("skipped: the page is not built; run npm run build && npm run build:page");

describe.skipIf(!chromiumIsInstalled() || !isBuilt)("the chat page", () => {
  let folder = "";
  let browser: Browser;
  let url = "";
  let stop = () => {};

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "cria-page-"));
    await writeTinyModel(join(folder, "tiny.gguf"), { contextLength: 512 });
    const child = spawn(
      process.execPath,
      [mainPath, "serve", join(folder, "tiny.gguf"), "--port", "0", "--page", built],
      {
        env: testEnvironment(),
      },
    );
    stop = () => child.kill("SIGKILL");
    url = await new Promise<string>((resolve, reject) => {
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        const match = /http:\/\/\S+/.exec(text);
        if (match) resolve(match[0]);
      });
      child.on("exit", (code) => reject(new Error(`cria serve ended with code ${code}`)));
    });
    browser = await startChromium();
  }, 60_000);
  afterAll(async () => {
    await browser?.close();
    stop();
    await rm(folder, { recursive: true, force: true });
  });

  async function open(options: { width?: number; dark?: boolean } = {}): Promise<Page> {
    const context = await browser.newContext({
      viewport: { width: options.width ?? 1200, height: 800 },
      colorScheme: options.dark ? "dark" : "light",
      acceptDownloads: true,
    });
    const page = await context.newPage();
    page.on("pageerror", (error) => console.error("in the page:", error));
    await page.goto(url);
    await page.getByText("tiny", { exact: true }).waitFor();
    return page;
  }

  async function say(page: Page, text: string): Promise<void> {
    await page.getByLabel("Message", { exact: true }).fill(text);
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Again" }).last().waitFor({ timeout: 60_000 });
  }

  const answers = (page: Page) => page.getByRole("article", { name: "Model" });

  it("answers, and keeps the chat over a reload", async () => {
    const page = await open();
    await say(page, "hello there");
    const text = await answers(page).innerText();
    expect(text.length).toBeGreaterThan(10);
    await page.reload();
    await expect.poll(() => answers(page).innerText()).toBe(text);
  });

  it("regenerates and edits as branches that can be gone back to", async () => {
    const page = await open();
    await say(page, "first question");
    await page.getByRole("button", { name: "Again" }).click();
    await page.getByText("2 of 2").waitFor();
    await page.getByRole("button", { name: "Previous version" }).click();
    await page.getByText("1 of 2").waitFor();
    await page.getByRole("button", { name: "Edit" }).click();
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

  it("turns a thumb and a better answer into preferences that training reads", async () => {
    const page = await open();
    await say(page, "rate me");
    await page.getByRole("button", { name: "Bad answer" }).click();
    await page.getByLabel("A better answer").fill("a better one");
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "Export preferences" }).click(),
    ]);
    const line = (await readFile(await download.path(), "utf8")).trim();
    const example = exampleOf({ fields: JSON.parse(line) as Record<string, unknown>, where: "export" });
    expect(example).toMatchObject({
      kind: "preference",
      prompt: [{ role: "user", content: "rate me" }],
      chosen: [{ role: "assistant", content: "a better one" }],
    });
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

/** Where the chat page gets its model and its files from: servers, this browser, no network. */
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import type { Model } from "../../src/generate/model.ts";
import { load } from "../../src/node.ts";
import { listen } from "../../src/platform/node/listen.ts";
import { readPage } from "../../src/platform/node/page-folder.ts";
import { createServer } from "../../src/server/create-server.ts";
import { writeTinyModel } from "../tiny-model.ts";
import { answers, built, pageCanBeShown, say, setUpSite } from "./chat-page.ts";
import { serveFolder } from "./folder-server.ts";
import { startChromium } from "./page.ts";

describe.skipIf(!pageCanBeShown())("where the chat page runs its model", () => {
  const site = setUpSite();

  it("opens without a server after the first visit, and chats with the model it brought", async () => {
    const context = await site.browser.newContext();
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
    const page = await site.open();
    await page.getByRole("button", { name: "Settings" }).click();
    await page.getByLabel("In this browser, from an address").fill(`${site.url}/models/default.gguf`);
    await page.getByRole("button", { name: "Load", exact: true }).click();
    await page.getByText("(this browser)").waitFor({ timeout: 60_000 });
    const list = page.getByRole("region", { name: "Downloaded models" });
    await list.getByText("default.gguf").waitFor();
    expect(await list.innerText()).toMatch(/2\.\d MB/);
    await list.getByRole("button", { name: "Delete default.gguf" }).click();
    await expect.poll(() => list.getByText("default.gguf").count()).toBe(0);
  }, 90_000);

  it("lists a model whose name has a per cent sign that means itself", async () => {
    const page = await site.open({ routed: true });
    await page.route("**/100%.gguf", (route) => route.continue({ url: `${site.url}/models/default.gguf` }));
    await page.getByRole("button", { name: "Settings" }).click();
    await page.getByLabel("In this browser, from an address").fill(`${site.url}/models/100%.gguf`);
    await page.getByRole("button", { name: "Load", exact: true }).click();
    await page.getByText("(this browser)").waitFor({ timeout: 60_000 });
    await page.getByRole("region", { name: "Downloaded models" }).getByText("100%.gguf").waitFor();
  }, 90_000);

  it("has threads from the second visit on where the host sets no headers", async () => {
    const server = await serveFolder(await readPage(built), false);
    const context = await site.browser.newContext();
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
    const own = await site.startServer(["--api-key", "secret", "--no-data"]);
    const page = await (await site.browser.newContext()).newPage();
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

  it("weighs less than 300 kB before a model is loaded", async () => {
    const context = await site.browser.newContext({ serviceWorkers: "block" });
    const page = await context.newPage();
    const paths = new Set<string>();
    page.on("request", (request) => paths.add(new URL(request.url()).pathname.slice(1) || "index.html"));
    await page.goto(site.url);
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

  it("runs a model in this browser as well", async () => {
    const page = await site.open();
    await page.getByRole("button", { name: "Settings" }).click();
    await page.getByLabel("Or a file").setInputFiles(join(site.folder, "tiny.gguf"));
    await page.getByText("Tiny (this browser)").waitFor({ timeout: 30_000 });
    await page.getByRole("button", { name: "Settings" }).click();
    await say(page, "in the browser");
    expect((await answers(page).innerText()).length).toBeGreaterThan(10);
  });

  it("samples as a model's maker recommends, until someone chooses otherwise", async () => {
    const path = join(site.folder, "calm.gguf");
    await writeTinyModel(path, { sampling: { temperature: 0.3 } });
    const page = await site.open();
    await page.getByRole("button", { name: "Settings" }).click();
    await page.getByText("Temperature: 0.8").waitFor();
    await page.getByLabel("Top p").fill("0.5");
    await page.getByLabel("Or a file").setInputFiles(path);
    await page.getByText("Temperature: 0.3").waitFor({ timeout: 30_000 });
    await page.getByLabel("Temperature").fill("1.5");
    await page.getByRole("button", { name: "On the server" }).click();
    await page.getByText("Temperature: 1.5").waitFor();
    await page.getByText("Top p: 0.5").waitFor();
  });

  it("works over plain HTTP from another machine, where browsers give pages less", async () => {
    const own = await site.startServer(["--allow-host", "cria.test", "--no-data"]);
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

  it.each([375, 1200])("holds a model's long name at a width of %i", async (width) => {
    const own = await site.startServer(["--alias", "a_long_name_".repeat(9), "--no-data"]);
    const page = await site.browser.newPage({ viewport: { width, height: 800 } });
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
    const model = await load(join(site.folder, "tiny.gguf"), { threads: 1 });
    let loaded: (model: Model) => void = () => {};
    const promise = new Promise<Model>((resolve) => {
      loaded = resolve;
    });
    using server = createServer({ model: promise, page: await readPage(built) });
    const listener = await listen(server, { port: 0 });
    const page = await site.browser.newPage();
    await page.goto(listener.url);
    await page.getByText("The server is loading its model").waitFor();
    loaded(model);
    await page.getByText("Tiny", { exact: true }).waitFor();
    expect(await page.getByText("The server is loading its model").count()).toBe(0);
    await page.close();
    await listener.close(0);
    model.dispose();
  });

  it("takes the model that was asked for last", async () => {
    const page = await site.open({ routed: true });
    let go = () => {};
    const held = new Promise<void>((resolve) => {
      go = resolve;
    });
    await page.route("**/models/default.gguf", async (route) => {
      await held;
      await route.continue();
    });
    await page.getByRole("button", { name: "Settings" }).click();
    const small = page.getByRole("button", { name: "In this browser: the small one" });
    await small.click();
    await page.getByText("Loading the model").waitFor();
    await page.getByRole("button", { name: "On the server" }).click();
    await expect.poll(() => page.getByText("Loading the model").count()).toBe(0);
    await small.click();
    await page.getByLabel("Or a file").setInputFiles(join(site.folder, "tiny.gguf"));
    await page.getByText("Tiny (this browser)").waitFor({ timeout: 60_000 });
    go();
    await page.waitForTimeout(3000);
    expect(await page.locator(".model").innerText()).toBe("Tiny (this browser)");
    await page.getByRole("button", { name: "On the server" }).click();
    await page.getByLabel("Or a file").setInputFiles(join(site.folder, "tiny.gguf"));
    await page.getByText("Tiny (this browser)").waitFor({ timeout: 60_000 });
  }, 150_000);

  it("says what an address should be, and nothing when loading was stopped", async () => {
    const page = await site.open({ routed: true });
    await page.route("**/models/default.gguf", () => {});
    await page.getByRole("button", { name: "Settings" }).click();
    await page.getByLabel("In this browser, from an address").fill("https://");
    await page.getByRole("button", { name: "Load", exact: true }).click();
    await page.getByText("https://: no address of a file").waitFor();
    await page.getByLabel("In this browser, from an address").fill("models/default.gguf");
    await page.getByRole("button", { name: "Load", exact: true }).click();
    await page.getByRole("button", { name: "Stop loading" }).click();
    await expect.poll(() => page.locator(".notice").innerText()).toBe("");
  });

  it("says from where it may not load a model", async () => {
    const page = await site.open();
    await page.getByRole("button", { name: "Settings" }).click();
    await page.getByLabel("In this browser, from an address").fill("https://models.example/model.gguf");
    await page.getByRole("button", { name: "Load", exact: true }).click();
    await page.getByText("Hugging Face only, not from models.example").waitFor();
  });
});

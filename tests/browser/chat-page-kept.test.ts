/** What the chat page keeps, where, and what becomes of it: chats, ratings, exports. */
import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { CONSENT } from "../../apps/chat/src/ratings.ts";
import { readPage } from "../../src/platform/node/page-folder.ts";
import { openSqliteStore } from "../../src/platform/node/sqlite-store.ts";
import { exampleOf } from "../../src/train/data/example.ts";
import { runCria } from "../cli/run-cria.ts";
import {
  answers,
  built,
  chatOf,
  exported,
  importText,
  pageCanBeShown,
  questions,
  say,
  setUpSite,
} from "./chat-page.ts";
import { serveFolder } from "./folder-server.ts";

describe.skipIf(!pageCanBeShown())("what the chat page keeps", () => {
  const site = setUpSite();

  it("answers, and keeps the chat over a reload", async () => {
    const page = await site.open();
    await say(page, "hello there");
    const text = await answers(page).innerText();
    expect(text.length).toBeGreaterThan(10);
    await page.reload();
    await expect.poll(() => answers(page).allInnerTexts()).toEqual([text]);
  });

  it("turns a thumb and a better answer into preferences that training takes as they are", async () => {
    const page = await site.open();
    await say(page, "rate me");
    await page.getByRole("button", { name: "Bad answer" }).click();
    await page.getByLabel("A better answer").fill("a better one");
    await page.getByLabel("What is wrong with it?").fill("too long");
    await page.getByRole("button", { name: "Save" }).click();
    // Nothing is kept without consent.
    expect(await exported(page, "Export preferences")).toBe("");
    await page.getByRole("button", { name: "Bad answer" }).click();
    await page.getByLabel("Keep this conversation and my rating").check();
    await page.getByRole("button", { name: "Save" }).click();
    await expect.poll(() => exported(page, "Export preferences")).not.toBe("");
    const path = join(site.folder, "preferences.jsonl");
    await writeFile(path, await exported(page, "Export preferences"));
    const fields = JSON.parse(await readFile(path, "utf8")) as Record<string, unknown>;
    expect(exampleOf({ fields, where: "export" })).toMatchObject({
      kind: "preference",
      prompt: [{ role: "user", content: "rate me" }],
      chosen: [{ role: "assistant", content: "a better one" }],
    });
    using store = openSqliteStore(site.dataFile);
    const [rating] = store.ratings();
    expect(rating).toMatchObject({
      liked: false,
      reason: "too long",
      settings: { temperature: 0.8 },
      consent: CONSENT,
      model: {
        name: "tiny",
        hash: createHash("sha256")
          .update(await readFile(join(site.folder, "tiny.gguf")))
          .digest("hex"),
      },
    });
    const recipe = join(site.folder, "align.yaml");
    await writeFile(
      recipe,
      JSON.stringify({
        ...{
          name: "aligned",
          kind: "dpo",
          base: join(site.folder, "tiny.gguf"),
          data: [{ path }],
          validation: 0,
        },
        ...{
          output: join(site.folder, "aligned"),
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
    const page = await site.open();
    await say(page, "remember the server");
    await page.getByText("Chats are kept on the server").waitFor();
    const elsewhere = await site.open();
    await elsewhere.getByRole("button", { name: "remember the server", exact: true }).click();
    await questions(elsewhere).getByText("remember the server").waitFor();
    await elsewhere.getByRole("button", { name: "Delete remember the server" }).click();
    using store = openSqliteStore(site.dataFile);
    await expect.poll(() => JSON.stringify(store.chats())).not.toContain("remember the server");
  });

  it("finds chats by their words, and brings exported ones back", async () => {
    const page = await site.open();
    await say(page, "a walrus at noon");
    const file = await exported(page, "Export chats");
    const listed = page.getByRole("button", { name: "a walrus at noon", exact: true });
    await page.getByLabel("Search in chats").fill("no such words");
    expect(await listed.count()).toBe(0);
    await page.getByLabel("Search in chats").fill("WALRUS");
    await page.getByRole("button", { name: "Delete a walrus at noon" }).click();
    await expect.poll(() => listed.count()).toBe(0);
    await importText(page, file);
    await listed.click();
    await questions(page).getByText("a walrus at noon").waitFor();
  });

  it("undoes nothing with an old export, and says so", async () => {
    const page = await site.open();
    await say(page, "the old words");
    const file = await exported(page, "Export chats");
    await say(page, "the new words");
    await importText(page, file);
    await page.getByText("Brought in: 0 chats.").waitFor();
    await questions(page).getByText("the new words").waitFor();
  });

  it("draws the latest of thousands of chats, and finds the others", async () => {
    const page = await site.open({ routed: true });
    await page.route("**/page/chats", (route) => route.fulfill({ status: 204 }));
    const many = Array.from({ length: 2000 }, (_, index) => ({
      ...chatOf(`number ${index}`, "an answer"),
      changed: index,
    }));
    await importText(page, JSON.stringify(many));
    const items = page.getByRole("navigation").getByRole("listitem");
    await page.getByText("Brought in: 2000 chats.").waitFor();
    expect(await items.count()).toBe(101);
    await page.getByRole("button", { name: /^Show more/ }).click();
    expect(await items.count()).toBe(201);
    await page.getByLabel("Search in chats").fill("number 17 ");
    expect(await items.count()).toBe(1);
  });

  it("keeps a rating with the system prompt that the answer was made with", async () => {
    const page = await site.open();
    const system = page.getByLabel("System prompt");
    await page.getByRole("button", { name: "Settings" }).click();
    await system.fill("be old");
    await say(page, "under which prompt");
    await system.fill("be new");
    await page.getByRole("button", { name: "Good answer" }).click();
    await page.getByLabel("Keep this conversation and my rating").check();
    await page.getByRole("button", { name: "Save" }).click();
    using store = openSqliteStore(site.dataFile);
    const prompts = () => JSON.stringify(store.ratings().map(({ prompt }) => prompt));
    await expect.poll(prompts).toContain("under which prompt");
    expect(prompts()).toContain("be old");
    expect(prompts()).not.toContain("be new");
  });

  it("takes another tab's system prompt", async () => {
    const one = await site.open();
    await say(one, "prompts of two tabs");
    const other = await site.open();
    await other.getByRole("button", { name: "prompts of two tabs", exact: true }).first().click();
    await other.getByRole("button", { name: "Settings" }).click();
    await other.getByLabel("System prompt").fill("from the other");
    await one.getByRole("button", { name: "Settings" }).click();
    await expect
      .poll(() => {
        void one.evaluate(() => window.dispatchEvent(new Event("focus")));
        return one.getByLabel("System prompt").inputValue();
      })
      .toBe("from the other");
  });

  it("says when the browser has no room for a chat", async () => {
    const context = await site.browser.newContext({ serviceWorkers: "block" });
    const page = await context.newPage();
    const server = await serveFolder(await readPage(built));
    const devtools = await context.newCDPSession(page);
    await devtools.send("Storage.overrideQuotaForOrigin", { origin: server.url, quotaSize: 200_000 });
    await page.goto(server.url);
    await page.getByText("Chats are kept in this browser").waitFor();
    await importText(page, JSON.stringify([chatOf("large", "x".repeat(2_000_000))]));
    await page.getByRole("alert").getByText("The browser has no room to keep this chat").waitFor();
    await context.close();
    await server.close();
  });

  it("shows what the browser kept while the server was away, and brings it in when told to", async () => {
    const page = await site.open({ routed: true });
    await page.route("**/page/chats", (route) => route.abort());
    await page.reload();
    await page.getByText("Chats are kept in this browser").waitFor();
    await say(page, "written offline");
    await page.unrouteAll();
    await page.reload();
    await page.getByText("Chats are kept on the server").waitFor();
    using store = openSqliteStore(site.dataFile);
    expect(JSON.stringify(store.chats())).not.toContain("written offline");
    const bringIn = page.getByRole("button", { name: "Bring in 1 chat that this browser kept" });
    await bringIn.click();
    await page.getByRole("button", { name: "written offline", exact: true }).waitFor();
    await expect.poll(() => bringIn.count()).toBe(0);
    expect(JSON.stringify(store.chats())).toContain("written offline");
    await page.reload();
    await page.getByRole("button", { name: "written offline", exact: true }).waitFor();
    expect(await bringIn.count()).toBe(0);
  });

  it("says what is wrong with a file of chats", async () => {
    const page = await site.open();
    await importText(page, '[{"id": "x"}]');
    await page.getByRole("alert").getByText("entry 1 of the file is no chat").waitFor();
    const loop = { id: "a", parent: "a", role: "user", content: "round" };
    const chat = { id: "loop", title: "loop", system: "", changed: 1, leaf: "a" };
    const circle = [
      { ...chat, nodes: [] },
      { ...chat, nodes: [loop] },
    ];
    await importText(page, JSON.stringify(circle));
    await page.getByRole("alert").getByText("entry 2 of the file is no chat").waitFor();
  });

  it("takes what another tab has kept before it goes on with the same chat", async () => {
    const one = await site.open();
    await say(one, "two tabs");
    const other = await site.open();
    await other.getByRole("button", { name: "two tabs", exact: true }).first().click();
    await say(other, "from the other tab");
    await one.evaluate(() => window.dispatchEvent(new Event("focus")));
    await questions(one).getByText("from the other tab").waitFor();
    await say(one, "from the first tab");
    using store = openSqliteStore(site.dataFile);
    await expect.poll(() => JSON.stringify(store.chats())).toContain("from the first tab");
    const kept = store.chats().find((chat) => JSON.stringify(chat).includes("from the first tab"));
    expect(JSON.stringify(kept)).toContain("from the other tab");
  });

  it("keeps no rating whose consent is taken back while it is being kept", async () => {
    const page = await site.open({ routed: true });
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
    using store = openSqliteStore(site.dataFile);
    await expect.poll(() => JSON.stringify(store.ratings())).not.toContain("forget this again");
  });

  it("keeps an answer that a reload cuts off, so that it can be made again", async () => {
    const page = await site.open({ routed: true });
    await page.route("**/v1/chat/completions", () => {});
    await page.getByLabel("Message", { exact: true }).fill("cut off by a reload");
    await page.keyboard.press("Enter");
    using store = openSqliteStore(site.dataFile);
    await expect.poll(() => JSON.stringify(store.chats())).toContain("cut off by a reload");
    await page.waitForTimeout(300);
    await page.unrouteAll();
    await page.reload();
    await questions(page).getByText("cut off by a reload").waitFor();
    await page.getByRole("button", { name: "Again", exact: true }).waitFor();
  });

  it("keeps later what a server that was away could not keep", async () => {
    const page = await site.open({ routed: true });
    await page.route("**/page/chats", (route) => route.abort());
    await say(page, "while the server was away");
    await page.unrouteAll();
    await page.evaluate(() => window.dispatchEvent(new Event("focus")));
    using store = openSqliteStore(site.dataFile);
    await expect.poll(() => JSON.stringify(store.chats())).toContain("while the server was away");
  });

  it("says so where the browser lets it keep nothing", async () => {
    const context = await site.browser.newContext({ serviceWorkers: "block" });
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
});

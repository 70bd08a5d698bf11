/** The chat page as a person uses it: answers and their branches, what is shown of them, keyboard and print. */
import { join } from "node:path";
import { AxeBuilder } from "@axe-core/playwright";
import { describe, expect, it } from "vitest";
import {
  answers,
  chatOf,
  importChat,
  importText,
  pageCanBeShown,
  questions,
  say,
  setUpSite,
} from "./chat-page.ts";

describe.skipIf(!pageCanBeShown())("the chat page", () => {
  const site = setUpSite();

  it("regenerates and edits as branches that can be gone back to", async () => {
    const page = await site.open();
    await say(page, "first question");
    await page.getByRole("button", { name: "Again" }).click();
    await page.getByText("2 of 2").waitFor();
    await page.getByRole("button", { name: "Previous version" }).click();
    await page.getByText("1 of 2").waitFor();
    await page.getByRole("button", { name: "Edit", exact: true }).click();
    await page.getByLabel("Edit the message").fill("second question");
    await page.locator(".editor").getByRole("button", { name: "Send" }).click();
    await questions(page).getByText("second question").waitFor();
    await page.getByRole("button", { name: "Previous version" }).first().click();
    await questions(page).getByText("first question").waitFor();
  });

  it("stops an answer", async () => {
    const page = await site.open();
    await page.getByLabel("Message", { exact: true }).fill("go on");
    await page.keyboard.press("Enter");
    const button = page.getByRole("button", { name: "Stop" });
    // A tiny model may be done before the hand is there.
    await button.click({ timeout: 2000 }).catch(() => {});
    await page.getByRole("button", { name: "Send" }).waitFor();
  });

  it("shows each token's probability and what else was likely", async () => {
    const page = await site.open();
    await say(page, "tokens please");
    await page.getByRole("button", { name: "Tokens", exact: true }).click();
    await page.locator(".token").nth(2).click();
    expect(await page.locator(".alternatives tr").count()).toBe(5);
    expect(await page.locator(".alternatives caption").innerText()).toMatch(/\d+\.\d %/);
  });

  it("goes on with an answer while another chat is shown, and shows each in its place", async () => {
    const page = await site.open();
    await page.getByLabel("Message", { exact: true }).fill("the long one");
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "New chat" }).click();
    await page.getByText("A Llama on your own device").waitFor();
    await page.getByRole("button", { name: "Send" }).waitFor({ timeout: 60_000 });
    expect(await answers(page).count()).toBe(0);
    await page.getByRole("button", { name: "the long one", exact: true }).first().click();
    await expect.poll(async () => (await answers(page).innerText()).length).toBeGreaterThan(40);
  }, 90_000);

  it("turns dark when told to, and stays so", async () => {
    const page = await site.open();
    const paper = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
    const light = await paper();
    await page.getByRole("button", { name: "Settings" }).click();
    await page.getByLabel("Colours").selectOption("dark");
    const dark = await paper();
    expect(dark).not.toBe(light);
    await page.reload();
    expect(await paper()).toBe(dark);
  });

  it("shows what a message says, and runs none of it", async () => {
    const page = await site.open();
    await say(page, '<img src=x onerror="document.title=1">');
    const { title, images } = await page.evaluate(() => ({
      title: document.title,
      images: document.images.length,
    }));
    expect({ title, images }).toEqual({ title: "Cria", images: 0 });
    await questions(page).getByText("<img src=x").waitFor();
  });

  it("keeps an edited message that cannot be sent yet", async () => {
    const page = await site.open({ routed: true });
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
    await questions(page).getByText("other words").waitFor();
  });

  it("shows as it is what cannot be drawn, and opens again", async () => {
    const page = await site.open();
    await importChat(page, "deep quotes", ">".repeat(3000));
    await page.getByText(">>>>>>>>").waitFor();
    await page.getByRole("button", { name: "Delete deep quotes" }).click();
    await page.getByText("A Llama on your own device").waitFor();
  });

  it("asks no stranger for an image, and opens links beside the chat", async () => {
    const page = await site.open();
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
    const page = await site.open();
    await importChat(page, "long read", "A paragraph.\n\n".repeat(200));
    const left = () =>
      page.locator(".messages").evaluate((box) => box.scrollHeight - box.clientHeight - box.scrollTop);
    await expect.poll(left).toBeLessThan(2);
    expect((await page.pdf()).toString("latin1").match(/\/Type \/Page\b/g)?.length).toBeGreaterThan(3);
    await page.getByRole("button", { name: "Delete long read" }).click();
  });

  it("never leaves the keyboard nowhere", async () => {
    const page = await site.open();
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

  it("sends nothing with the Enter that chooses what an input method proposes", async () => {
    const page = await site.open();
    const message = page.getByLabel("Message", { exact: true });
    await message.fill("かな");
    // Safari has ended the composing by then; only the key's number tells.
    for (const init of [{ isComposing: true }, { keyCode: 229 }])
      await message.evaluate((area, more) => {
        area.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true, ...more }));
      }, init);
    await page.waitForTimeout(300);
    expect(await page.getByRole("article").count()).toBe(0);
    expect(await message.inputValue()).toBe("かな");
  });

  it("says in no other chat what went wrong in one", async () => {
    const page = await site.open({ routed: true });
    await page.route("**/v1/chat/completions", (route) => route.abort());
    await page.getByLabel("Message", { exact: true }).fill("into the void");
    await page.keyboard.press("Enter");
    await page.getByRole("alert").getByText("The server cannot be reached").waitFor();
    await page.getByRole("button", { name: "New chat" }).click();
    await expect.poll(() => page.getByRole("alert").count()).toBe(0);
    await importText(page, "{");
    await page.getByRole("alert").getByText("the file is not JSON").waitFor();
    await importText(page, JSON.stringify([chatOf("good file", "an answer")]));
    await page.getByText("Brought in: 1 chat.").waitFor();
    expect(await page.getByRole("alert").count()).toBe(0);
    await page.getByRole("button", { name: "Delete good file" }).click();
  });

  it("prints dark on light, whatever it looks like", async () => {
    const page = await site.open();
    await page.getByRole("button", { name: "Settings" }).click();
    await page.getByLabel("Colours").selectOption("dark");
    const ink = () => page.evaluate(() => getComputedStyle(document.body).color);
    expect(await ink()).toBe("rgb(237, 230, 218)");
    await page.emulateMedia({ media: "print" });
    expect(await ink()).toBe("rgb(38, 33, 26)");
  });

  it("breaks no word where there is room to scroll, and hides none under a button", async () => {
    const page = await site.open({ width: 320 });
    const table =
      "| Name | Value | Description | Another column |\n|-|-|-|-|\n| alpha | 12.50 | word | something |";
    await importText(
      page,
      JSON.stringify([chatOf("narrow", `${table}\n\n\`\`\`\n${"x".repeat(99)}\n\`\`\``)]),
    );
    await page.getByRole("button", { name: "Chats", exact: true }).click();
    await page.getByRole("button", { name: "narrow", exact: true }).click();
    const height = (selector: string) =>
      page
        .locator(selector)
        .first()
        .evaluate((one) => one.clientHeight);
    // One line and the padding.
    expect(await height("td")).toBeLessThan(40);
    const copy = await page.locator(".code button").boundingBox();
    const code = await page.locator(".code code").boundingBox();
    expect((copy?.y ?? 0) + (copy?.height ?? 0)).toBeLessThanOrEqual(code?.y ?? 0);
    await page.getByRole("button", { name: "Bad answer" }).click();
    expect(await height(".feedback button")).toBeLessThan(40);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(320);
    const { violations } = await new AxeBuilder({ page }).analyze();
    expect(violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`)).toEqual([]);
    await page.getByRole("button", { name: "Chats", exact: true }).click();
    await page.getByRole("button", { name: "Delete narrow" }).click();
  });

  it.each([
    { width: 1200, dark: false },
    { width: 1200, dark: true },
    { width: 390, dark: false },
  ])("is accessible at %o", async (options) => {
    const page = await site.open(options);
    await say(page, "is this readable?");
    if (process.env.CRIA_SCREENSHOTS)
      await page.screenshot({
        path: join(process.env.CRIA_SCREENSHOTS, `page-${options.width}${options.dark ? "-dark" : ""}.png`),
      });
    const { violations } = await new AxeBuilder({ page }).analyze();
    expect(violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`)).toEqual([]);
  });
});

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { fixture } from "../fixtures-path.ts";
import { writeTinyModel } from "../tiny-model.ts";
import { hasPseudoTerminal, PseudoTerminal } from "./pseudo-terminal.ts";
import { type Ran, runCria } from "./run-cria.ts";

let folder: string;
let model: string;
/** Its answers take so long that they can be stopped. */
let longModel: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "cria-chat-"));
  model = join(folder, "tiny.gguf");
  longModel = join(folder, "long.gguf");
  await writeTinyModel(model);
  await writeTinyModel(longModel, { contextLength: 16_384 });
});
afterAll(() => rmSync(folder, { recursive: true }));

describe("chat over a pipe", () => {
  const chat = (lines: string[], ...more: string[]): Promise<Ran> =>
    runCria(["chat", "-m", model, "-n", "12", "--temp", "0", ...more], {
      input: lines.map((line) => `${line}\n`).join(""),
      folder,
    });

  test("answers every line, and prints answers only", async () => {
    const one = await chat(["hello"]);
    expect(one).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\S.+\n$/s) });
    const two = await chat(["hello", "", "and then?"]);
    expect(two.stdout.startsWith(one.stdout)).toBe(true);
    expect(two.stdout.length).toBeGreaterThan(one.stdout.length);
    expect((await chat(["and then?"], "-p", "hello")).stdout).toBe(two.stdout);
  });

  test("a line that ends with a backslash goes on", async () => {
    await chat(["first \\", "second", "/save lines.json"]);
    expect(JSON.parse(readFileSync(join(folder, "lines.json"), "utf8"))[0]).toEqual({
      role: "user",
      content: "first \nsecond",
    });
  });

  test("/regenerate, /undo, /system, /clear, /save and /load work on the conversation", async () => {
    const saved = (name: string): { role: string; content: string }[] =>
      JSON.parse(readFileSync(join(folder, name), "utf8"));
    const { stdout } = await chat([
      "hello",
      "/regenerate",
      "/save one.json",
      "more",
      "/undo",
      "/save two.json",
    ]);
    const [first, again] = stdout.split("\n");
    // Greedy: the same answer once more.
    expect(again).toBe(first);
    expect(saved("two.json")).toEqual(saved("one.json"));
    expect(saved("one.json")).toEqual([
      { role: "user", content: "hello" },
      { role: "assistant", content: first },
    ]);
    const system = await chat([
      "/load one.json",
      "/system Be brief.",
      "/save three.json",
      "/clear",
      "/save four.json",
    ]);
    expect(system.code).toBe(0);
    expect(saved("three.json")).toEqual([{ role: "system", content: "Be brief." }, ...saved("one.json")]);
    expect(saved("four.json")).toEqual([{ role: "system", content: "Be brief." }]);
  });

  test("a system prompt and a template change the answer", async () => {
    const plain = (await chat(["hello"])).stdout;
    expect((await chat(["hello"], "-sys", "Speak of lamas.")).stdout).not.toBe(plain);
    const template = "{% for message in messages %}{{ message.content }}!{% endfor %}";
    expect((await chat(["hello"], "--chat-template", template)).stdout).not.toBe(plain);
  });

  test("says which messages did not fit the context", async () => {
    const { code, stderr } = await chat(
      ["hello there", "how are you", "tell me more", "and more"],
      "-c",
      "80",
    );
    expect(code).toBe(0);
    expect(stderr).toMatch(
      /\[the context of 80 tokens is too short for all: the oldest \d messages were left out\]/,
    );
  });

  const smolLm = fixture("SmolLM2-135M-Instruct.Q4_1.gguf");
  test.skipIf(!smolLm).each([
    ["the system prompt of a user", ["-sys", "You are a helpful assistant."]],
    ["no system prompt", ["--chat-template", "chatml"]],
  ])("a real model with %s knows the capital of France", async (_, how) => {
    const options = ["--temp", "0", "-n", "16", "-c", "256", ...how];
    const ran = await runCria(["chat", "-m", smolLm as string, ...options], {
      input: "What is the capital of France?\n",
    });
    expect(ran).toEqual({ code: 0, signal: null, stdout: "The capital of France is Paris.\n", stderr: "" });
  });

  test("a wrong command ends a script with an error", async () => {
    const { code, stderr } = await chat(["/frobnicate"]);
    expect(code).toBe(1);
    expect(stderr).toContain("there is no /frobnicate");
  });
});

describe.skipIf(!hasPseudoTerminal())("chat at a terminal", () => {
  let terminal: PseudoTerminal;
  const open = (path: string, ...more: string[]): void => {
    const commandLine = ["chat", "-m", path, "--temp", "0", ...more];
    terminal = new PseudoTerminal(commandLine, { XDG_STATE_HOME: join(folder, "state") });
  };
  afterEach(() => terminal.kill());

  test("greets, answers with the speed, explains itself, ends with /exit", async () => {
    open(model, "-n", "10", "--no-history");
    await terminal.waitFor("Tiny · context 256 tokens");
    await terminal.waitFor("> ");
    terminal.type("hello\r");
    await terminal.waitFor(/10 tokens at .* tokens\/s · prompt \d+ at .* · context \d+ of 256\]/);
    await terminal.waitFor("> ");
    terminal.type("/help\r");
    await terminal.waitFor("/regenerate");
    terminal.type("/stats\r");
    await terminal.waitFor(/conversation +2 messages, 1 answer/);
    terminal.type("/exit\r");
    expect(await terminal.ended()).toBe(0);
  });

  test("Ctrl-C stops the answer and not the program; what was said stays", async () => {
    open(longModel, "-c", "0", "--no-history");
    await terminal.waitFor("> ");
    terminal.type("hello\r");
    const [, first = ""] = (await terminal.waitFor(/hello\n.{20,}/s)).split("hello\n");
    terminal.type("\x03");
    // At ^C the terminal drops what it has not shown yet (without NOFLSH, see termios), then shows ^C and what comes after.
    const [, last = ""] = (await terminal.waitFor("\n[stopped]")).replace("\n[stopped]", "").split("^C");
    await terminal.waitFor("> ");
    const path = join(folder, "stopped.json");
    terminal.type(`/save ${path}\r`);
    await terminal.waitFor("2 messages written");
    const [question, partial] = JSON.parse(readFileSync(path, "utf8"));
    expect(question).toEqual({ role: "user", content: "hello" });
    expect(first).not.toBe("");
    expect(partial.content.startsWith(first)).toBe(true);
    expect(partial.content.endsWith(last)).toBe(true);
    terminal.type("\x04");
    expect(await terminal.ended()).toBe(0);
  });

  test("Ctrl-C at the prompt drops the line; twice at an empty one ends", async () => {
    open(model, "-n", "10", "--no-history");
    await terminal.waitFor("> ");
    terminal.type("dropped");
    await terminal.waitFor("dropped");
    terminal.type("\x03");
    await terminal.waitFor("> ");
    terminal.type("/stats\r");
    await terminal.waitFor("0 messages");
    terminal.type("\x03");
    await terminal.waitFor("Ctrl-C again");
    terminal.type("\x03");
    expect(await terminal.ended()).toBe(0);
  });

  test("lines are remembered for the next chat; an arrow brings them back", async () => {
    open(model, "-n", "4");
    await terminal.waitFor("> ");
    terminal.type("remember me\r");
    await terminal.waitFor("of 256]");
    terminal.type("\x04");
    expect(await terminal.ended()).toBe(0);
    open(model, "-n", "4");
    await terminal.waitFor("> ");
    terminal.type("\x1b[A");
    await terminal.waitFor("remember me");
    terminal.type("\r");
    await terminal.waitFor("of 256]");
    terminal.type("/exit\r");
    expect(await terminal.ended()).toBe(0);
    expect(readFileSync(join(folder, "state", "cria", "history"), "utf8")).toBe(
      "remember me\nremember me\n/exit\n",
    );
  });

  test("pasted lines and continued lines are one message", async () => {
    open(model, "-n", "4", "--no-history");
    await terminal.waitFor("> ");
    terminal.type("one\rtwo\r");
    await terminal.waitFor("of 256]");
    terminal.type("three\\\r");
    await terminal.waitFor("… ");
    terminal.type("four\r");
    await terminal.waitFor("of 256]");
    const path = join(folder, "pasted.json");
    terminal.type(`/save ${path}\r`);
    await terminal.waitFor("4 messages written");
    const messages: { content: string }[] = JSON.parse(readFileSync(path, "utf8"));
    expect([messages[0].content, messages[2].content]).toEqual(["one\ntwo", "three\nfour"]);
  });

  test("an error leaves the chat open", async () => {
    open(model, "-n", "4", "--no-history");
    await terminal.waitFor("> ");
    terminal.type("/load nowhere.json\r");
    await terminal.waitFor("error: nowhere.json: no such file");
    await terminal.waitFor("> ");
    terminal.type(`${"long ".repeat(300)}\r`);
    await terminal.waitFor("error: ");
    await terminal.waitFor("> ");
    terminal.type("short\r");
    await terminal.waitFor("of 256]");
  });
});

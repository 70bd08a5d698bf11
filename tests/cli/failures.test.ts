/** What a wrong command line, a bad file and a missing model say, and the exit codes. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { writeTinyModel } from "../tiny-model.ts";
import { mainPath, runCria, runInShell, testEnvironment } from "./run-cria.ts";

let folder: string;
let model: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "cria-failures-"));
  model = join(folder, "tiny.gguf");
  await writeTinyModel(model);
});
afterAll(() => rmSync(folder, { recursive: true }));

const generate = (...more: string[]): string[] => ["generate", "-m", model, "-p", "x", ...more];

describe("usage errors exit with 2", () => {
  const cases: [what: string, commandLine: () => string[], message: string][] = [
    ["a mistyped option", () => generate("--tmp", "0"), "Did you mean --temp?"],
    ["a mistyped command", () => ["generat"], "Did you mean generate?"],
    ["a word for a number", () => generate("-n", "many"), "Expected a whole number of at least -2."],
    ["a number out of range", () => generate("--top-p", "2"), "Expected a number from 0 to 1."],
    ["a malformed bias", () => generate("--logit-bias", "x+1"), "TOKEN_ID+BIAS"],
    ["two prompts", () => generate("-f", "file"), "-p and -f exclude each other"],
    ["an option without its value", () => ["generate", "-m"], "argument missing"],
    ["log-probabilities without JSON", () => generate("--logprobs", "1"), "need --json"],
  ];
  test.each(cases)("%s", async (_, commandLine, message) => {
    const { code, stdout, stderr } = await runCria(commandLine());
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(message);
    expect(stderr).toMatch(/^error: /);
  });

  test("a bad environment variable is named", async () => {
    const ran = await runCria(generate(), { environment: { LLAMA_ARG_CTX_SIZE: "big" } });
    expect(ran.code).toBe(2);
    expect(ran.stderr).toContain("LLAMA_ARG_CTX_SIZE");
  });
});

describe("what cannot be done exits with 1, in one line", () => {
  test("a missing file", async () => {
    const { code, stderr } = await runCria(["generate", "-m", join(folder, "none.gguf"), "-p", "x"]);
    expect(code).toBe(1);
    expect(stderr).toBe(`error: ${join(folder, "none.gguf")}: no such file\n`);
  });

  test("a truncated file", async () => {
    const path = join(folder, "short.gguf");
    writeFileSync(path, readFileSync(model).subarray(0, 1000));
    const { code, stderr } = await runCria(["generate", "-m", path, "-p", "x"]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error: .*short\.gguf: .*\n$/);
  });

  test("a prompt longer than the context", async () => {
    const { code, stderr } = await runCria(
      generate("-c", "8", "-f", "-").filter((word) => word !== "-p" && word !== "x"),
      {
        input: "word ".repeat(50),
      },
    );
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error: the prompt has \d+ tokens/);
  });

  test("a prompt that is no text", async () => {
    const path = join(folder, "binary.txt");
    writeFileSync(path, Uint8Array.of(0xff, 0xfe, 0x00));
    const { code, stderr } = await runCria(["generate", "-m", model, "-f", path]);
    expect({ code, stderr }).toEqual({ code: 1, stderr: `error: ${path}: not UTF-8 text\n` });
  });

  test("--verbose adds the stack", async () => {
    const { stderr } = await runCria(["generate", "-m", join(folder, "none.gguf"), "-p", "x", "--verbose"]);
    expect(stderr).toContain("    at ");
  });
});

describe("help", () => {
  test("`cria` alone explains itself", async () => {
    const { code, stdout } = await runCria([]);
    expect(code).toBe(0);
    for (const name of ["chat", "generate", "perplexity", "inspect", "tokenize", "pull", "list", "convert"])
      expect(stdout).toMatch(new RegExp(`^  ${name} `, "m"));
  });

  test("every option has a long name", async () => {
    for (const name of ["chat", "generate", "perplexity", "inspect", "tokenize", "pull", "list", "convert"]) {
      const { code, stdout } = await runCria([name, "--help"]);
      expect(code).toBe(0);
      const options = stdout.split("\n").filter((line) => /^ {2}-/.test(line));
      expect(options.filter((line) => !/^ {2}(-\w, )?--[a-z]/.test(line))).toEqual([]);
    }
  });

  test("--version is the package's", async () => {
    const { version } = JSON.parse(
      readFileSync(join(import.meta.dirname, "..", "..", "package.json"), "utf8"),
    );
    expect((await runCria(["--version"])).stdout).toBe(`${version}\n`);
  });
});

test("Ctrl-C ends the program at once", async () => {
  const long = join(folder, "long.gguf");
  await writeTinyModel(long, { contextLength: 16_384 });
  const child = spawn(process.execPath, [mainPath, "generate", "-m", long, "-p", "x", "-c", "0"], {
    env: testEnvironment(),
  });
  const ended = once(child, "close");
  await once(child.stdout, "data");
  child.kill("SIGINT");
  const [code, signal] = await ended;
  // A shell calls that 130.
  expect({ code, signal }).toEqual({ code: null, signal: "SIGINT" });
});

test("output that cannot be written is one line on standard error", () => {
  if (!existsSync("/dev/full")) return console.warn("skipped: this system has no /dev/full");
  const { code, stderr } = runInShell(`cria inspect '${join(folder, "tiny.gguf")}' > /dev/full`);
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr: expect.stringMatching(/^error: the output [^\n]*no space[^\n]*\n$/),
  });
});

test.each(["SIGTERM", "SIGHUP"] as const)(
  "%s lets long work tidy up, then ends the program",
  async (signal) => {
    const script = `
    import { interruptible } from ${JSON.stringify(join(mainPath, "..", "interrupt.ts"))};
    await interruptible((signal) => new Promise((_, reject) => {
      setInterval(() => {}, 1000);
      signal.addEventListener("abort", () => { console.log("tidied up"); reject(signal.reason); });
      console.log("at work");
    }));`;
    const child = spawn(process.execPath, ["--input-type=module", "--eval", script], {
      env: testEnvironment(),
    });
    const ended = once(child, "close");
    let said = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      said += text;
      if (said === "at work\n") child.kill(signal);
    });
    expect(await ended).toEqual([null, signal]);
    expect(said).toBe("at work\ntidied up\n");
  },
);

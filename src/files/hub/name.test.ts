import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CriaError } from "../../shared/errors.ts";
import { isSafePath, parseModelName } from "./name.ts";

const hub = { kind: "hub", repo: "meta-llama/Llama-2-7b-hf", revision: "main" };

describe("parseModelName", () => {
  it.each([
    ["hf:meta-llama/Llama-2-7b-hf", hub],
    ["hf://meta-llama/Llama-2-7b-hf", hub],
    ["huggingface:meta-llama/Llama-2-7b-hf", hub],
    ["hf:meta-llama/Llama-2-7b-hf:Q4_K_M", { ...hub, quantization: "Q4_K_M" }],
    ["hf:meta-llama/Llama-2-7b-hf:Q4_K_M@v1.0", { ...hub, quantization: "Q4_K_M", revision: "v1.0" }],
    ["hf:meta-llama/Llama-2-7b-hf#refs/pr/1", { ...hub, revision: "refs/pr/1" }],
    ["hf:meta-llama/Llama-2-7b-hf/a/b c.gguf", { ...hub, file: "a/b c.gguf" }],
    ["hf:meta-llama/Llama-2-7b-hf/a.gguf@main", { ...hub, file: "a.gguf" }],
    ["https://host/a.gguf?x=1", { kind: "url", url: "https://host/a.gguf?x=1" }],
    ["models/a.gguf", { kind: "path", path: "models/a.gguf" }],
    ["C:\\models\\a@b#c.gguf", { kind: "path", path: "C:\\models\\a@b#c.gguf" }],
    ["user/repo", { kind: "path", path: "user/repo" }],
  ])("takes %s apart", (text, expected) => {
    expect(parseModelName(text)).toEqual(expected);
  });

  it.each([
    "",
    "  ",
    "a\0b",
    "https://",
    "https://user:password@host/a.gguf",
    "hf:",
    "hf:user",
    "hf:user/",
    "hf:/repo",
    "hf:../repo",
    "hf:user/..",
    "hf:user/a--b",
    "hf:user/repo/",
    "hf:user/repo/../x",
    "hf:user/repo/a\\b",
    "hf:user/repo:",
    "hf:user/repo:a/b",
    "hf:user/repo:Q4:Q5",
    "hf:user/repo/a.gguf:Q4",
    "hf:user/repo@",
    "hf:user/repo@../x",
    "hf:user/repo@a@b",
    "hf:user/repo@main:Q4",
    "hf:user/repo@a b",
  ])("refuses %j", (text) => {
    expect(() => parseModelName(text)).toThrow(expect.objectContaining({ code: "bad-input" }));
  });

  it("never fails in another way, and what it lets through stays inside the cache", () => {
    const part = fc.constantFrom(
      "a",
      "..",
      ".",
      "/",
      ":",
      "@",
      "#",
      "\\",
      "--",
      "-",
      " ",
      "%2e",
      "\n",
      "Q4_0",
    );
    const tail = fc.array(part, { maxLength: 12 }).map((parts) => `hf:user/${parts.join("")}`);
    fc.assert(
      fc.property(fc.oneof(tail, fc.string()), (text) => {
        try {
          const name = parseModelName(text);
          if (name.kind !== "hub") return;
          for (const path of [name.repo, name.file ?? "x", name.revision])
            expect(isSafePath(path)).toBe(true);
        } catch (error) {
          expect(error).toBeInstanceOf(CriaError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe("isSafePath", () => {
  it.each(["a", "a/b.c", ".gitattributes", "a b/c", "..a/b", "ü/模型.gguf"])("lets %j through", (path) => {
    expect(isSafePath(path)).toBe(true);
  });

  it.each(["", "/a", "a/", "a//b", "..", "a/../b", "./a", "a\\b", "C:a", "a\0", "a\n", "a./b", "a /b"])(
    "stops %j",
    (path) => {
      expect(isSafePath(path)).toBe(false);
    },
  );
});

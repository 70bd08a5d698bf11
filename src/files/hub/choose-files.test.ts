import { describe, expect, it } from "vitest";
import { chooseFiles, chooseNamed } from "./choose-files.ts";

const gguf = (...names: string[]): string[] => names.map((name) => `m-${name}.gguf`);
const shards = ["model-00002-of-00002.safetensors", "model-00001-of-00002.safetensors"];
const besides = [
  "config.json",
  "generation_config.json",
  "tokenizer.json",
  "tokenizer.model",
  "tokenizer_config.json",
];

describe("chooseFiles", () => {
  it.each([
    [gguf("Q8_0", "Q4_0", "Q4_K_S", "Q4_K_M"), "m-Q4_K_M.gguf"],
    [gguf("Q8_0", "Q4_0", "Q4_K_S"), "m-Q4_K_S.gguf"],
    [gguf("Q8_0", "IQ4_XS", "Q4_0_4_4", "Q4_0"), "m-Q4_0.gguf"],
    [gguf("Q8_0", "F16"), "m-Q8_0.gguf"],
    [gguf("IQ4_XS", "F16"), "m-F16.gguf"],
    [["mmproj-Q4_K_M.gguf", "m.imatrix.gguf", "z-F16.gguf"], "z-F16.gguf"],
    [["llama-2-7b.q4_k_m.gguf", "config.json", "model.safetensors"], "llama-2-7b.q4_k_m.gguf"],
  ])("chooses from %j", (files, expected) => {
    expect(chooseFiles(files)).toEqual([expected]);
  });

  it("takes the quantization that is asked for, as a whole word in any case", () => {
    const files = gguf("Q4_0_4_4", "IQ4_0", "Q4_0");
    expect(chooseFiles(files, "q4_0")).toEqual(["m-Q4_0.gguf"]);
    expect(chooseFiles(["Q6_K/m-00001-of-00001.gguf"], "Q6_K")).toEqual(["Q6_K/m-00001-of-00001.gguf"]);
    expect(() => chooseFiles(files, "Q4")).toThrow("m-IQ4_0.gguf, m-Q4_0.gguf, m-Q4_0_4_4.gguf");
    // Not as a pattern.
    expect(() => chooseFiles(files, "Q4.0")).toThrow("no .gguf file named Q4.0");
  });

  it("takes all parts of a split file, in order, and misses one", () => {
    const parts = [3, 1, 2].map((part) => `big/m-Q4_K_M-0000${part}-of-00003.gguf`);
    expect(chooseFiles(parts)).toEqual([...parts].sort());
    expect(() => chooseFiles(parts.slice(0, 2))).toThrow("m-Q4_K_M-00002-of-00003.gguf, part 2 of 3");
    expect(() => chooseFiles(["m-00001-of-99999.gguf"])).toThrow("part 2 of 99999");
  });

  it("takes safetensors with what belongs to them", () => {
    const index = "model.safetensors.index.json";
    const files = [
      ...shards,
      index,
      ...besides,
      "consolidated.safetensors",
      "README.md",
      "original/params.json",
    ];
    expect(chooseFiles(files)).toEqual([shards[1], shards[0], index, ...besides]);
    expect(chooseFiles(["model.safetensors", "chat_template.jinja", "other.json"])).toEqual([
      "model.safetensors",
      "chat_template.jinja",
    ]);
  });

  it("takes Meta's checkpoint", () => {
    const files = [
      "consolidated.01.pth",
      "consolidated.00.pth",
      "params.json",
      "tokenizer.model",
      "checklist.chk",
    ];
    expect(chooseFiles(files)).toEqual([
      "consolidated.00.pth",
      "consolidated.01.pth",
      "params.json",
      "tokenizer.model",
    ]);
  });

  it("says what there is when nothing fits", () => {
    expect(() => chooseFiles(["README.md", "pytorch_model.bin"])).toThrow(
      "it has README.md, pytorch_model.bin",
    );
    expect(() => chooseFiles([])).toThrow("it has no files");
    const many = Array.from({ length: 100 }, (_, index) => `${index}.txt`);
    expect(() => chooseFiles(many)).toThrow("and 70 more");
  });
});

describe("chooseNamed", () => {
  it("takes the file, its other parts and its settings", () => {
    expect(chooseNamed(["a.gguf", "b.gguf"], "b.gguf")).toEqual(["b.gguf"]);
    expect(chooseNamed([...shards, ...besides], shards[0]!)).toEqual([shards[1], shards[0], ...besides]);
    expect(() => chooseNamed(["a.gguf"], "b.gguf")).toThrow(
      "no file b.gguf in the repository; it has a.gguf",
    );
  });

  it("takes what lies beside a file in a folder", () => {
    const files = [
      "README.md",
      "sub/config.json",
      "sub/model.safetensors",
      "config.json",
      "model.safetensors",
    ];
    expect(chooseNamed(files, "sub/model.safetensors")).toEqual(["sub/model.safetensors", "sub/config.json"]);
    const meta = ["consolidated.00.pth", "consolidated.01.pth", "params.json", "tokenizer.model"];
    const original = meta.map((name) => `original/${name}`);
    expect(chooseNamed([...original, "tokenizer.json"], "original/consolidated.01.pth")).toEqual(original);
  });

  it("takes the shards that an index names", () => {
    const index = "model.safetensors.index.json";
    const expected = [shards[1], shards[0], index, ...besides];
    expect(chooseNamed([...shards, index, ...besides], index)).toEqual(expected);
    expect(chooseNamed([index], index)).toEqual([index]);
  });
});

import { describe, expect, test } from "vitest";
import { normalizeArguments } from "./arguments.ts";

const values = new Set(["-p", "--prompt", "--predict", "-n", "--system-prompt", "--temp", "--model", "-m"]);
const normalize = (...list: string[]): string[] => normalizeArguments(list, (flag) => values.has(flag));

describe("normalizeArguments", () => {
  test("llama.cpp's names with several letters become long names", () => {
    expect(normalize("-sys", "Be brief.", "-p", "hi")).toEqual(["--system-prompt", "Be brief.", "-p", "hi"]);
    expect(normalize("--n-predict", "5", "--temperature=0")).toEqual(["--predict", "5", "--temp=0"]);
  });

  test("underscores in an option's name count as dashes, in its value they stay", () => {
    expect(normalize("--n_predict=a_b")).toEqual(["--predict=a_b"]);
    expect(normalize("--system_prompt", "a_b")).toEqual(["--system-prompt", "a_b"]);
  });

  test("what only says how fast llama.cpp runs is left out, with its value, and told", () => {
    const told: string[] = [];
    const list = [
      "-ngl",
      "99",
      "-fa",
      "on",
      "-p",
      "-ngl",
      "--flash-attn",
      "-b",
      "512",
      "--no-mmap",
      "-n",
      "5",
    ];
    const left = normalizeArguments(
      list,
      (flag) => values.has(flag),
      (flag) => told.push(flag),
    );
    expect(left).toEqual(["-p", "-ngl", "-n", "5"]);
    expect(told).toEqual(["-ngl", "-fa", "--flash-attn", "-b", "--no-mmap"]);
    const attached = ["--n_gpu_layers=99", "-fa", "-p", "on"];
    expect(
      normalizeArguments(
        attached,
        (flag) => values.has(flag),
        () => {},
      ),
    ).toEqual(["-p", "on"]);
    expect(normalize("--batch-size", "8")).toEqual(["--batch-size", "8"]);
  });

  test("a repository becomes a model name", () => {
    expect(normalize("-hf", "user/repo:Q8_0")).toEqual(["--model", "hf:user/repo:Q8_0"]);
    expect(normalize("--hf-repo=hf:user/repo")).toEqual(["--model", "hf:user/repo"]);
  });

  test("values that look like options are left alone", () => {
    expect(normalize("-p", "-sys", "-n", "-1")).toEqual(["-p", "-sys", "-n", "-1"]);
    expect(normalize("--prompt", "--n_predict")).toEqual(["--prompt", "--n_predict"]);
    expect(normalize("a", "--", "-sys")).toEqual(["a", "--", "-sys"]);
  });

  test("an option whose value is missing stays alone", () => {
    expect(normalize("-p")).toEqual(["-p"]);
    expect(normalize("-hf")).toEqual(["--model"]);
  });
});

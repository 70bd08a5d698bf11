import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { hubCacheFolder, hubSettings } from "./options.ts";

const variables = [
  "HF_HUB_CACHE",
  "HUGGINGFACE_HUB_CACHE",
  "HF_HOME",
  "XDG_CACHE_HOME",
  "HF_TOKEN",
  "HUGGING_FACE_HUB_TOKEN",
  "HF_TOKEN_PATH",
  "HF_ENDPOINT",
  "HF_HUB_OFFLINE",
];
beforeEach(() => {
  for (const name of variables) vi.stubEnv(name, undefined);
});
afterEach(() => vi.unstubAllEnvs());

describe("hubCacheFolder", () => {
  it("follows the variables in the order of all Hugging Face tools", () => {
    expect(hubCacheFolder(undefined)).toBe(join(homedir(), ".cache", "huggingface", "hub"));
    vi.stubEnv("XDG_CACHE_HOME", "/xdg");
    expect(hubCacheFolder(undefined)).toBe(join("/xdg", "huggingface", "hub"));
    vi.stubEnv("HF_HOME", "~/hf");
    expect(hubCacheFolder(undefined)).toBe(join(homedir(), "hf", "hub"));
    vi.stubEnv("HUGGINGFACE_HUB_CACHE", "/old");
    expect(hubCacheFolder(undefined)).toBe("/old");
    vi.stubEnv("HF_HUB_CACHE", "/new");
    expect(hubCacheFolder(undefined)).toBe("/new");
    vi.stubEnv("HF_HUB_CACHE", "");
    expect(hubCacheFolder(undefined)).toBe("/old");
    expect(hubCacheFolder("/given")).toBe("/given");
  });
});

describe("hubSettings", () => {
  it("takes endpoint and offline from the variables, and options before them", async () => {
    expect(await hubSettings({})).toMatchObject({ endpoint: "https://huggingface.co", offline: false });
    vi.stubEnv("HF_ENDPOINT", "https://mirror.example/hub/");
    vi.stubEnv("HF_HUB_OFFLINE", "1");
    expect(await hubSettings({})).toMatchObject({ endpoint: "https://mirror.example/hub", offline: true });
    expect(await hubSettings({ endpoint: "http://a", offline: false })).toMatchObject({
      endpoint: "http://a",
      offline: false,
    });
    await expect(hubSettings({ endpoint: "mirror.example" })).rejects.toMatchObject({ code: "bad-input" });
  });

  it("finds the token in the variable, else in the stored file", async () => {
    const home = await mkdtemp(join(tmpdir(), "cria-home-"));
    vi.stubEnv("HF_HOME", home);
    expect((await hubSettings({})).token).toBeUndefined();
    await writeFile(join(home, "token"), "hf_stored\n");
    expect((await hubSettings({})).token).toBe("hf_stored");
    vi.stubEnv("HF_TOKEN", "hf_variable");
    expect((await hubSettings({})).token).toBe("hf_variable");
    expect((await hubSettings({ token: "hf_given" })).token).toBe("hf_given");
    await rm(home, { recursive: true });
  });

  it("does not show a password in the hub's address", async () => {
    const endpoint = "https://user:cret@hub.example";
    const error: unknown = await hubSettings({ endpoint }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "bad-input", message: expect.not.stringContaining("cret") });
  });

  it("does not show a token that it refuses", async () => {
    const error: unknown = await hubSettings({ token: "hf_se\ncret" }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "bad-input", message: expect.not.stringContaining("cret") });
  });
});

/** DPO on real preferences: the default model comes to prefer polite answers that it was never shown. */
import { readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { trainRecipe } from "../../src/platform/node/training/train-recipe.ts";
import { parseRecipe } from "../../src/train/recipe.ts";
import { dataFile } from "../data.ts";

const root = join(import.meta.dirname, "..", "..");
const data = dataFile("preferences/demo/polite-vs-rude.json");

it.skipIf(!data)("raises the share of held-out pairs whose polite answer is preferred", async () => {
  const output = join(tmpdir(), `cria-polite-${process.pid}`);
  const path = join(root, "recipes", "polite", "recipe.yaml");
  const recipe = parseRecipe(await readFile(path, "utf8"), path, {
    ...{ output, data: [{ path: data }], base: join(root, "models", "default.gguf") },
    ...{ steps: 20, validateEvery: 20, validationWindows: 96 },
    batch: { windows: 8, length: 192 },
  });
  const heldOut: Readonly<Record<string, number>>[] = [];
  try {
    await trainRecipe(recipe, { threads: 2, onValidation: (_, figures) => heldOut.push(figures) });
  } finally {
    await rm(output, { recursive: true, force: true });
  }
  const [before, after] = heldOut;
  // Before the first step all rewards are 0, and hardly more than half of the polite answers are the likelier ones.
  expect(before.margin).toBeCloseTo(0, 5);
  expect(before.likelier).toBeLessThan(0.65);
  expect(after.accuracy).toBeGreaterThan(0.7);
  expect(after.likelier).toBeGreaterThan(before.likelier + 0.1);
  expect(after.loss).toBeLessThan(before.loss);
});

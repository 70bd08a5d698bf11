/**
 * The recipe that a command line means: a file with changes, or options alone.
 *
 * Flow: commands/train.ts (flags) → readRecipe → train/recipe.ts → run-recipe.ts.
 */
import { readFile } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { CriaError } from "../../shared/errors.ts";
import { parseRecipe, type Recipe } from "../../train/recipe.ts";

export interface RecipeFlags {
  readonly set: readonly string[];
  readonly output?: string;
  readonly name?: string;
  readonly data?: readonly string[];
  readonly base?: string;
  readonly tokenizer?: string;
  readonly lora?: number;
  readonly steps?: number;
  readonly rate?: number;
  readonly windows?: number;
  readonly length?: number;
}

/** @throws {CriaError} "not-found" without the file, "bad-input" for settings that are wrong or missing. */
export async function readRecipe(
  kind: string,
  path: string | undefined,
  flags: RecipeFlags,
): Promise<Recipe> {
  if (path === undefined)
    return parseRecipe(`kind: ${kind}`, "options", { ...nameOf(flags), ...changes(flags) });
  const text = await readFile(path, "utf8").catch((cause: unknown) => {
    throw new CriaError("not-found", `${path}: no such recipe`, { cause });
  });
  const recipe = parseRecipe(text, path, changes(flags));
  if (recipe.kind === kind) return recipe;
  throw new CriaError(
    "bad-input",
    `${path}: a recipe for ${recipe.kind}; run: cria train ${recipe.kind} ${path}`,
  );
}

function nameOf({ output }: RecipeFlags): Record<string, unknown> {
  return output === undefined ? {} : { name: basename(resolve(output)) };
}

/** Settings by their path in the recipe; those of `--set` first, so that an option of its own wins. */
function changes(flags: RecipeFlags): Record<string, unknown> {
  const { set, output, name, data, base, tokenizer, lora, steps, rate, windows, length } = flags;
  const own = {
    ...{ output, name, base, tokenizer, steps },
    data: data?.map((path) => ({ path })),
    "lora.rank": lora,
    "schedule.rate": rate,
    "batch.windows": windows,
    "batch.length": length,
  };
  return Object.fromEntries([
    ...set.map(changeOf),
    ...Object.entries(own).filter(([, value]) => value !== undefined),
  ]);
}

/** `schedule.rate=1e-3`; values are JSON where they can be, else text. */
function changeOf(text: string): [string, unknown] {
  const at = text.indexOf("=");
  if (at < 1) throw new CriaError("bad-input", `--set: expected setting=value, got ${JSON.stringify(text)}`);
  const value = text.slice(at + 1);
  try {
    return [text.slice(0, at), JSON.parse(value)];
  } catch {
    return [text.slice(0, at), value];
  }
}

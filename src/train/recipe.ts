/**
 * A recipe: everything that decides what a run computes, as YAML with a checked schema.
 *
 *   kind: pretrain            from random weights, or with `base` from a model
 *   kind: sft                 answers of conversations, full or with adapters
 *   kind: dpo                 preferences, full or with adapters
 *
 * Defaults are Llama 2's where it has one (arXiv 2307.09288, §2.2 and §3.1).
 *
 * Flow: recipe.yaml, flags → parseRecipe → run.ts.
 */
import { parse } from "yaml";
import { z } from "zod";
import type { RecommendedSampling } from "../model/recommended-sampling.ts";
import { CriaError } from "../shared/errors.ts";
import { type AdapterTarget, adapterTargets } from "./forward.ts";
import type { AdamWOptions } from "./optimizer.ts";
import type { Schedule } from "./schedule.ts";

/** Settings that all kinds have; what each means stands at its schema below. */
interface SharedRecipe {
  readonly name: string;
  readonly output: string;
  readonly data: readonly DataSettings[];
  readonly long?: "cut" | "skip" | "refuse" | undefined;
  readonly validation: number;
  readonly batch: {
    readonly windows: number;
    readonly length?: number | undefined;
    readonly accumulate: number;
  };
  readonly steps: number;
  readonly schedule: Schedule;
  readonly adamW: Required<AdamWOptions>;
  readonly seed: number;
  readonly gradientCheckpointing: boolean;
  readonly checkpoint: { readonly every: number; readonly keep: number };
  readonly validateEvery: number;
  readonly validationWindows: number;
  readonly sample?: SampleSettings | undefined;
  readonly type: "f32" | "f16" | "bf16" | "q8_0" | "q4_0";
  readonly card?: CardSettings | undefined;
  /** What the model's file recommends; absent is what the base recommends. */
  readonly sampling?: RecommendedSampling | undefined;
  readonly chatTemplate?: string | undefined;
}

export interface DataSettings {
  readonly path: string;
  readonly weight: number;
  readonly separator?: string | undefined;
  readonly pair?: string | undefined;
  readonly license?: string | undefined;
}

export interface SampleSettings {
  readonly every: number;
  readonly prompts: readonly string[];
  readonly maxTokens: number;
}

export interface CardSettings {
  readonly license?: string | undefined;
  readonly data: readonly string[];
  readonly notes: readonly string[];
}

export interface ModelSettings {
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads?: number | undefined;
  readonly feedForward: number;
  readonly context: number;
  readonly tied: boolean;
  readonly ropeBase: number;
  readonly normEpsilon: number;
}

export interface LoraSettings {
  readonly rank: number;
  readonly alpha: number;
  readonly dropout: number;
  readonly targets: readonly AdapterTarget[];
}

export interface PretrainRecipe extends SharedRecipe {
  readonly kind: "pretrain";
  readonly model?: ModelSettings | undefined;
  readonly base?: string | undefined;
  readonly tokenizer?: string | undefined;
}

export interface SftRecipe extends SharedRecipe {
  readonly kind: "sft";
  readonly base: string;
  readonly lora?: LoraSettings | undefined;
}

export interface DpoRecipe extends SharedRecipe {
  readonly kind: "dpo";
  readonly base: string;
  readonly lora?: LoraSettings | undefined;
  readonly beta: number;
}

export type Recipe = PretrainRecipe | SftRecipe | DpoRecipe;

const positive = z.number().positive();
const count = z.int().positive();
const share = z.number().min(0).max(1);
const below1 = z.number().min(0).lt(1);

const model = z.strictObject({
  width: count,
  layers: count,
  heads: count,
  /** Key/value heads; default: as many as heads. */
  kvHeads: count.optional(),
  feedForward: count,
  context: count,
  /** The head is the embedding. */
  tied: z.boolean().default(true),
  ropeBase: positive.default(10_000),
  normEpsilon: positive.default(1e-5),
});

const source = z.strictObject({
  path: z.string(),
  /** Share of the tokens relative to the other sources. */
  weight: positive.default(1),
  /** Between the documents of a text file; default `<|endoftext|>`. */
  separator: z.string().optional(),
  /** Between prompt and answer, where a text file holds such documents. */
  pair: z.string().min(1).optional(),
  /** For the model's card. */
  license: z.string().min(1).optional(),
});

const batch = z.strictObject({
  windows: count.default(16),
  /** Tokens of a window; default: the model's context. */
  length: count.optional(),
  /** Batches of a step. */
  accumulate: count.default(1),
});

const curve = {
  warmup: z.int().min(0).default(100),
  shape: z.enum(["cosine", "linear", "constant"]).default("cosine"),
  final: share.default(0.1),
};
/** Rates of Llama 2's 7B and 13B; it was not aligned by DPO, so that has none. */
const rates = { pretrain: 3e-4, sft: 2e-5 } as const;
const scheduleFrom = (rate: number) =>
  z.prefault(z.strictObject({ rate: positive.default(rate), ...curve }), {});

const adamW = z.strictObject({
  beta1: below1.default(0.9),
  beta2: below1.default(0.95),
  epsilon: positive.default(1e-5),
  weightDecay: z.number().min(0).default(0.1),
  maximumNorm: z.number().min(0).default(1),
});

const lora = z.strictObject({
  rank: count.default(8),
  alpha: positive.default(16),
  dropout: below1.default(0),
  targets: z.array(z.enum(adapterTargets)).min(1).default(["attn_q", "attn_v"]),
});

const shared = {
  /** What the model is called in its file and card. */
  name: z.string().min(1),
  /** Folder of checkpoints, metrics, model and card. */
  output: z.string(),
  data: z.array(source).min(1),
  /** Share of the documents that is held out. */
  validation: share.default(0.01),
  /** What becomes of documents that are longer than a window; default: they are cut. */
  long: z.enum(["cut", "skip", "refuse"]).optional(),
  batch: z.prefault(batch, {}),
  steps: count,
  adamW: z.prefault(adamW, {}),
  /** Every parameter starts from a seed of its own, 65,536 · seed + its number, which has to stay exact. */
  seed: z
    .int()
    .min(0)
    .max(2 ** 37 - 1)
    .default(1),
  /** Compute layers again for their gradients: less memory, more time. */
  gradientCheckpointing: z.boolean().default(false),
  checkpoint: z.prefault(z.strictObject({ every: count.default(100), keep: count.default(2) }), {}),
  validateEvery: count.default(200),
  /** Windows that validation looks at, at most. */
  validationWindows: count.default(64),
  sample: z
    .strictObject({ every: count.default(500), prompts: z.array(z.string()), maxTokens: count.default(120) })
    .optional(),
  /** Weights of the written model. */
  type: z.enum(["f32", "f16", "bf16", "q8_0", "q4_0"]).default("f32"),
  /** How to sample from the model, for its file; default: what the base says. */
  sampling: z
    .strictObject({
      temperature: z.number().min(0).optional(),
      topK: z.int().min(0).optional(),
      topP: share.optional(),
      minP: share.optional(),
      repeatPenalty: positive.optional(),
      repeatLastN: z.int().min(-1).optional(),
    })
    .optional(),
  /** What the card says beyond figures: data and licences, limits. */
  card: z
    .strictObject({
      license: z.string().optional(),
      data: z.array(z.string()).default([]),
      notes: z.array(z.string()).default([]),
    })
    .optional(),
};

const pretrain = z
  .strictObject({
    kind: z.literal("pretrain"),
    ...shared,
    schedule: scheduleFrom(rates.pretrain),
    /** Shape of a new model. */
    model: model.optional(),
    /** Or a model to go on from. */
    base: z.string().optional(),
    tokenizer: z.string().optional(),
    chatTemplate: z.string().optional(),
  })
  .refine((recipe) => (recipe.model === undefined) !== (recipe.base === undefined), {
    error: "expected either `model`, the shape of a new one, or `base`, a model to go on from",
  });

const tuned = { base: z.string(), lora: lora.optional(), chatTemplate: z.string().optional() };
const sft = z.strictObject({
  kind: z.literal("sft"),
  ...shared,
  schedule: scheduleFrom(rates.sft),
  ...tuned,
});
const dpo = z.strictObject({
  kind: z.literal("dpo"),
  ...shared,
  // Prefault: what is missing is then said to be the rate, and not the whole schedule.
  schedule: z.prefault(z.strictObject({ rate: positive, ...curve }), {} as { rate: number }),
  ...tuned,
  /** How strongly the tuned model is held to the base. */
  beta: positive.default(0.1),
});

/**
 * Reads a recipe. `changes` replace single settings, by path: {"schedule.rate": 1e-3}.
 *
 * @throws {CriaError} "bad-input" that names the setting, what was expected and what came.
 */
export function parseRecipe(
  text: string,
  source: string,
  changes: Readonly<Record<string, unknown>> = {},
): Recipe {
  let value: unknown;
  try {
    value = parse(text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.split("\n")[0] : String(cause);
    throw new CriaError("bad-input", `${source}: not YAML: ${reason}`, { cause });
  }
  for (const [path, change] of Object.entries(changes)) value = changed(value, path.split("."), change);
  const kind = (value as { kind?: unknown } | null)?.kind;
  const schema = { pretrain, sft, dpo }[String(kind)];
  if (!schema)
    throw new CriaError("bad-input", `${source}: kind: expected pretrain, sft or dpo, got ${String(kind)}`);
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const reasons = result.error.issues.map(({ path, message }) => `${path.join(".") || "recipe"}: ${message}`);
  throw new CriaError("bad-input", `${source}: ${reasons.join("; ")}`);
}

function changed(value: unknown, path: readonly string[], change: unknown): unknown {
  const [first, ...rest] = path;
  if (first === undefined) return change;
  const object = typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  return { ...object, [first]: changed(object[first], rest, change) };
}

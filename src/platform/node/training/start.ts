/**
 * What a recipe starts from: a new shape with a tokenizer, or a model.
 *
 * Flow: recipe → openStart → train-recipe.ts.
 */
import { readFile } from "node:fs/promises";
import { builtInTemplates } from "../../../generate/chat-format/built-in-templates.ts";
import { openCheckpoint } from "../../../model/checkpoint.ts";
import { readVocabulary } from "../../../model/companions.ts";
import type { ModelConfig } from "../../../model/config.ts";
import type { RecommendedSampling } from "../../../model/recommended-sampling.ts";
import type { ModelWeights } from "../../../model/weights.ts";
import { CriaError } from "../../../shared/errors.ts";
import type { Vocabulary } from "../../../tokenizer/vocabulary.ts";
import type { PretrainRecipe, Recipe } from "../../../train/recipe.ts";
import { nodeFiles, worded } from "../file-system.ts";
import { resolveModel } from "../hub/resolve.ts";

/** What a recipe starts from. */
export interface Start {
  readonly config: ModelConfig;
  readonly tied: boolean;
  readonly weights?: ModelWeights;
  readonly vocabulary: Vocabulary;
  readonly chatTemplate?: string;
  /** What the trained model's file shall recommend. */
  readonly sampling: RecommendedSampling;
  /** Of the base's files, for the fingerprint. */
  readonly paths: readonly string[];
  close(): Promise<void>;
}

/** @throws {CriaError} "not-found" or "bad-input" for what the recipe names */
export async function openStart(recipe: Recipe): Promise<Start> {
  const named = await namedTemplate(recipe.chatTemplate);
  if (recipe.kind === "pretrain" && recipe.model) return newModel(recipe, named);
  const path = await resolveModel(recipe.base ?? "", {});
  const checkpoint = await openCheckpoint(
    path,
    nodeFiles,
    recipe.kind === "pretrain" ? recipe.tokenizer : undefined,
  );
  if (!checkpoint.vocabulary) {
    await checkpoint.file.close();
    throw new CriaError("not-found", `${path}: no tokenizer in the model or beside it`);
  }
  const template = named ?? checkpoint.chatTemplate;
  return {
    config: { ...checkpoint.config, name: recipe.name },
    tied: !checkpoint.weights.has("output.weight"),
    weights: checkpoint.weights,
    vocabulary: checkpoint.vocabulary,
    ...(template === undefined ? {} : { chatTemplate: template }),
    sampling: recipe.sampling ?? checkpoint.sampling,
    paths: checkpoint.file.paths,
    close: () => checkpoint.file.close(),
  };
}

async function newModel(recipe: PretrainRecipe, template: string | undefined): Promise<Start> {
  const { model } = recipe;
  if (!model || recipe.tokenizer === undefined)
    throw new CriaError("bad-input", "recipe: a new model needs a tokenizer: name its file");
  if (model.width % model.heads !== 0 || model.heads % (model.kvHeads ?? model.heads) !== 0)
    throw new CriaError(
      "bad-input",
      `recipe: model: ${model.heads} heads must divide the width ${model.width}, and ${model.kvHeads ?? model.heads} key/value heads the heads`,
    );
  const vocabulary = await readVocabulary(recipe.tokenizer, nodeFiles);
  const headLength = model.width / model.heads;
  return {
    config: {
      name: recipe.name,
      vocabularySize: vocabulary.pieces.length,
      contextLength: model.context,
      width: model.width,
      layerCount: model.layers,
      feedForwardLength: model.feedForward,
      headCount: model.heads,
      kvHeadCount: model.kvHeads ?? model.heads,
      headLength,
      ropeLength: headLength,
      normEpsilon: model.normEpsilon,
      ropeBase: model.ropeBase,
      ropeScaling: { type: "none" },
      slidingWindow: 0,
    },
    tied: model.tied,
    vocabulary,
    ...(template === undefined ? {} : { chatTemplate: template }),
    sampling: recipe.sampling ?? {},
    paths: [],
    close: async () => {},
  };
}

/** The Jinja text that the recipe gives, itself or by a file or name: the trained model's file holds it. */
async function namedTemplate(template: string | undefined): Promise<string | undefined> {
  if (template?.endsWith(".jinja")) return worded(template, readFile(template, "utf8"));
  if (template === undefined || /\{[{%]/.test(template)) return template;
  const text = builtInTemplates.get(template);
  if (text !== undefined) return text;
  throw new CriaError(
    "bad-input",
    `recipe: chatTemplate: expected Jinja text, a .jinja file, or one of ${[...builtInTemplates.keys()].join(", ")}, ` +
      `got ${JSON.stringify(template)}`,
  );
}

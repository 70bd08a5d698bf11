/**
 * Training with Cria: recipes as `cria train` runs them.
 *
 *   import { parseRecipe, trainRecipe } from "cria/train";
 *   const path = await trainRecipe(parseRecipe(yaml, "recipe.yaml"), { onStep: ({ step, loss }) => console.log(step, loss) });
 */
export {
  type RunStart,
  type Sample,
  type TrainRecipeOptions,
  trainRecipe,
} from "./platform/node/training/train-recipe.ts";
export { CriaError, type CriaErrorCode } from "./shared/errors.ts";
export { vocabularyToSentencePiece } from "./tokenizer/to-sentence-piece.ts";
export { type TokenizerProgress, type TokenizerTraining, trainTokenizer } from "./tokenizer/train.ts";
export type { Vocabulary } from "./tokenizer/vocabulary.ts";
export {
  type DpoRecipe,
  type LoraSettings,
  type ModelSettings,
  type PretrainRecipe,
  parseRecipe,
  type Recipe,
  type SftRecipe,
} from "./train/recipe.ts";
export type { MemoryPlan } from "./train/session.ts";
export type { StepMetrics } from "./train/trainer.ts";

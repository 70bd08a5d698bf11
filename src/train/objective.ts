/**
 * What a recipe minimises, over a step's batches and over the held-out part.
 *
 *   pretrain, sft   mean −log-probability of the tokens that count                 mean-loss.ts
 *   dpo             −log σ of how much more the pair's better answer gained        preference-loss.ts
 *
 * Flow: recipe, held-out batches, session → objectiveOf → trainer.ts (step), run.ts (validate).
 */
import { CriaError, throwIfAborted } from "../shared/errors.ts";
import type { Batch } from "./data/batch.ts";
import { meanLoss, meanLossStep } from "./mean-loss.ts";
import type { TrainingPass } from "./pass.ts";
import {
  type PairReference,
  type PreferenceSum,
  type PreferenceTraining,
  preferenceStep,
  windowSums,
} from "./preference-loss.ts";
import type { DpoRecipe, Recipe } from "./recipe.ts";
import type { Session } from "./session.ts";
import type { Objective } from "./trainer.ts";

/** The part of a run's data that nothing is learnt from. */
export interface HeldOutData {
  /** Characters that a held-out token stands for on average, where that is known. */
  readonly charactersPerToken?: number | undefined;
  /** Held-out batches, at most `windows` windows of them. */
  validation(windows: number): AsyncIterable<Batch>;
}

export function objectiveOf(recipe: Recipe, data: HeldOutData, session: Session): Objective {
  return recipe.kind === "dpo"
    ? preferenceObjective(recipe, data, session)
    : meanObjective(recipe, data, session);
}

function meanObjective(recipe: Recipe, data: HeldOutData, { pass, evaluation }: Session): Objective {
  return {
    step: (batches, dropoutSeed) => meanLossStep(pass, batches, dropoutSeed),
    async validate(signal) {
      let total = 0;
      let counted = 0;
      for await (const batch of data.validation(recipe.validationWindows)) {
        throwIfAborted(signal);
        const sum = await meanLoss(evaluation, batch);
        total += sum.total;
        counted += sum.counted;
      }
      if (counted === 0) return {};
      const loss = total / counted;
      const perCharacter = data.charactersPerToken;
      return perCharacter === undefined ? { loss } : { loss, lossPerCharacter: loss / perCharacter };
    },
  };
}

function preferenceObjective(
  recipe: DpoRecipe,
  data: HeldOutData,
  { pass, evaluation, reference }: Session,
): Objective {
  if (!reference) throw new CriaError("bad-input", "preferences need a pass over the base");
  const step = async (batch: Batch, trains: PreferenceTraining | undefined) =>
    preferenceStep(
      trains ? pass : evaluation,
      batch,
      await pairReferences(reference, batch),
      recipe.beta,
      trains,
    );
  return {
    async step(batches, dropoutSeed) {
      const pairCount = batches.reduce((sum, batch) => sum + batch.rows / 2, 0);
      const sums: PreferenceSum[] = [];
      for (const [index, batch] of batches.entries())
        sums.push(await step(batch, { pairCount, dropoutSeed: dropoutSeed(index) }));
      const sum = sumOf(sums);
      return { total: sum.total, counted: sum.counted, extra: preferenceFigures(sum) };
    },
    async validate(signal) {
      const sums: PreferenceSum[] = [];
      for await (const batch of data.validation(recipe.validationWindows)) {
        throwIfAborted(signal);
        sums.push(await step(batch, undefined));
      }
      const sum = sumOf(sums);
      return sum.counted > 0 ? { loss: sum.total / sum.counted, ...preferenceFigures(sum) } : {};
    },
  };
}

function preferenceFigures({ counted, right, likelier, margin }: PreferenceSum): Record<string, number> {
  return { accuracy: right / counted, likelier: likelier / counted, margin: margin / counted };
}

async function pairReferences(reference: TrainingPass, batch: Batch): Promise<PairReference[]> {
  const sums = windowSums(batch, await reference.forward(batch));
  return Array.from({ length: batch.rows / 2 }, (_, pair) => ({
    chosen: sums[2 * pair],
    rejected: sums[2 * pair + 1],
  }));
}

function sumOf(sums: readonly PreferenceSum[]): PreferenceSum {
  const total = { total: 0, counted: 0, right: 0, likelier: 0, margin: 0 };
  for (const sum of sums)
    for (const key of ["total", "counted", "right", "likelier", "margin"] as const) total[key] += sum[key];
  return total;
}

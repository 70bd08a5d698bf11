import { expect, it } from "vitest";
import { modelCard } from "./card.ts";
import { parseRecipe } from "./recipe.ts";
import { report } from "./report.ts";

const recipe = parseRecipe(
  "{ kind: sft, name: small, output: run, base: b, data: [{ path: x }], steps: 2, validation: 0.07 }",
  "test",
);
const config = {
  ...{ name: "small", vocabularySize: 48, contextLength: 8, width: 32, layerCount: 1, feedForwardLength: 64 },
  ...{ headCount: 4, kvHeadCount: 2, headLength: 8, ropeLength: 8, normEpsilon: 1e-5, ropeBase: 1e4 },
  ...{ ropeScaling: { type: "none" as const }, slidingWindow: 0 },
};
const figures = { config, parameters: 1, tokens: 2, seconds: 3, validation: { loss: 0.5 }, samples: [] };

it("says in round numbers what was held out, and has a dash for a loss that there is not", () => {
  const card = modelCard(recipe, { ...figures, loss: null, date: "2026-01-01" });
  expect(card).toContain("\n7 % of the documents were held out.");
  expect(card).toContain("| training loss, last step | – |\n| held-out loss | 0.5000 |");
});

it("draws no point for a step without a loss", () => {
  const lines = [1, 2, 3].map((step) => ({
    step,
    loss: step,
    rate: 1e-3,
    norm: step,
    tokens: 8,
    seconds: 1,
  }));
  const page = report("small", [lines[0], { ...lines[1], loss: null, norm: null }, lines[2]], {
    ...{ script: "", style: "" },
  });
  const curves = JSON.parse(/of (\[.*\])\) \{/.exec(page)?.[1] ?? "") as {
    title: string;
    series: { values: unknown[] }[];
  }[];
  const valuesOf = (title: string) => curves.find((curve) => curve.title === title)?.series[0].values;
  expect(valuesOf("Loss")).toEqual([1, null, 1.1]);
  expect(valuesOf("Norm of the gradients")).toEqual([1, null, 3]);
  expect(valuesOf("Learning rate")).toEqual([1e-3, 1e-3, 1e-3]);
});

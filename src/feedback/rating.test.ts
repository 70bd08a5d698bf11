import { expect, it } from "vitest";
import { preferenceLines, preferencesOf, type Rating } from "./rating.ts";

let count = 0;
function rating(changes: Partial<Rating>): Rating {
  return {
    id: `answer-${count++}`,
    time: 0,
    model: { name: "tiny", hash: "ab" },
    settings: { temperature: 0.8 },
    prompt: [{ role: "user", content: "2 + 2?" }],
    answer: "5",
    liked: false,
    reason: "",
    better: "",
    consent: "yes",
    ...changes,
  };
}
const contents = (ratings: readonly Rating[]) =>
  preferencesOf(ratings).map(({ chosen, rejected }) => [chosen[0].content, rejected[0].content]);

it("prefers what a person wrote instead", () => {
  expect(contents([rating({ better: " 4 " })])).toEqual([["4", "5"]]);
  expect(contents([rating({ better: "5" })])).toEqual([]);
});

it("prefers liked answers to disliked ones of the same prompt only", () => {
  const liked = rating({ answer: "4", liked: true });
  const other = rating({ prompt: [{ role: "user", content: "3 + 3?" }] });
  expect(contents([liked, rating({}), rating({ answer: "6" }), other])).toEqual([
    ["4", "5"],
    ["4", "6"],
  ]);
  expect(contents([liked, rating({ answer: "4" })])).toEqual([]);
});

it("writes one object a line", () => {
  const lines = preferenceLines([rating({ better: "4" }), rating({ better: "four\nof them" })]).split("\n");
  expect(lines).toHaveLength(3);
  expect(JSON.parse(lines[1])).toMatchObject({ chosen: [{ role: "assistant", content: "four\nof them" }] });
});

/** A model that answers with given texts, for what a random model would never say, such as a call of a tool. */
import type { GeneratedToken, GenerationResult, PromptText } from "../../src/generate/generate.ts";
import { Generation } from "../../src/generate/generation.ts";
import type { Model } from "../../src/generate/model.ts";

/** `answers` are given one after the other, in the real tokenizer's tokens; `prompts` collects what was asked. */
export function scriptedModel(real: Model, answers: string[], prompts: string[] = []): Model {
  return new Proxy(real, {
    get(target, key) {
      if (key === "generate")
        return (prompt: PromptText) => {
          prompts.push(target.tokenizer.decode(prompt.ids, { showSpecial: true }));
          return new Generation(steps(target, prompt, answers.shift() ?? ""));
        };
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

async function* steps(
  model: Model,
  prompt: PromptText,
  answer: string,
): AsyncGenerator<GeneratedToken, GenerationResult> {
  const ids = model.tokenizer.encode(answer);
  const decoder = model.tokenizer.decoder();
  let text = "";
  for (const id of ids) {
    const piece = decoder.push(id);
    text += piece;
    yield { id, text: piece };
  }
  const timings = {
    cache_n: 0,
    prompt_n: prompt.ids.length,
    prompt_ms: 1,
    prompt_per_second: 1,
    predicted_n: ids.length,
    predicted_ms: 1,
    predicted_per_second: 1,
  };
  return { text, ids, promptIds: prompt.ids, finishReason: "stop", timings };
}

/** Stopgap until src/train/data is there. */
import { readFileSync } from "node:fs";
import type { ChatFormat } from "../../generate/chat-format/chat-format.ts";
import type { ChatMessage } from "../../generate/chat-format/messages.ts";
import { Random } from "../../generate/random.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import type { Batch } from "../../train/data/batch.ts";
import type { Recipe } from "../../train/recipe.ts";
import type { RunData } from "../../train/run.ts";

interface Parts {
  readonly tokenizer: Tokenizer;
  readonly chatFormat: () => ChatFormat;
  readonly length: number;
  readonly cacheFolder: string;
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
}

interface Doc {
  readonly ids: number[];
  readonly learned: number;
}

export async function openRunData(
  recipe: Recipe,
  parts: Parts,
): Promise<{ batches: RunData; fingerprint: string; description: string }> {
  const { tokenizer, length } = parts;
  const eos = tokenizer.special.eos ?? 2;
  const docs: Doc[][] = recipe.data.map(({ path }) =>
    readFileSync(path, "utf8")
      .trim()
      .split("\n")
      .map((line) => {
        const record = JSON.parse(line) as { text?: string; messages?: ChatMessage[] };
        if (record.text !== undefined)
          return { ids: [...tokenizer.encode(record.text, { addSpecial: true }), eos], learned: 0 };
        const format = parts.chatFormat();
        const prompt = format.encode((record.messages ?? []).slice(0, -1));
        const whole = format.encode(record.messages ?? [], { addGenerationPrompt: false });
        return { ids: whole.at(-1) === eos ? whole : [...whole, eos], learned: prompt.length };
      }),
  );
  const held = docs.map((list) => list.filter((_, i) => i % 100 === 99));
  const train = docs.map((list) => list.filter((_, i) => i % 100 !== 99));
  const size = recipe.batch.windows * length;
  const pack = (next: () => Doc, batch: Batch): void => {
    for (let window = 0; window < recipe.batch.windows; window++) {
      let at = 0;
      while (at < length) {
        const { ids, learned } = next();
        const count = Math.min(ids.length - 1, length - at);
        // What would be left of a window takes part of a document only if it is worth it.
        if (count < ids.length - 1 && at > 0 && length - at < 48) break;
        const from = ids.length - 1 > length ? 0 : 0;
        for (let i = 0; i < count; i++) {
          const t = window * length + at + i;
          batch.tokens[t] = ids[from + i];
          batch.targets[t] = ids[from + i + 1];
          batch.positions[t] = i;
          batch.starts[t] = window * length + at;
          batch.weights[t] = i + 1 >= learned ? 1 : 0;
        }
        at += count;
      }
      for (; at < length; at++) {
        const t = window * length + at;
        batch.starts[t] = t;
      }
    }
  };
  const empty = (): Batch => ({
    rows: recipe.batch.windows,
    length,
    tokens: new Int32Array(size),
    targets: new Int32Array(size),
    positions: new Int32Array(size),
    starts: new Int32Array(size),
    weights: new Float32Array(size),
  });
  const weights = recipe.data.map(({ weight }) => weight);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const trainTokens = train.flat().reduce((sum, { ids }) => sum + ids.length, 0);
  return {
    fingerprint: "stopgap",
    description: `${trainTokens} tokens in ${train.flat().length} documents`,
    batches: {
      async *batches(start) {
        for (let index = start; ; index++) {
          const random = new Random(recipe.seed * 2 ** 32 + index);
          const batch = empty();
          pack(() => {
            let draw = random.next() * total;
            let source = 0;
            while (source + 1 < weights.length && draw >= weights[source]) draw -= weights[source++];
            const list = train[source];
            return list[Math.floor(random.next() * list.length)];
          }, batch);
          yield batch;
        }
      },
      async *validation(windows) {
        const list = held.flat();
        let at = 0;
        for (let done = 0; done < windows; done += recipe.batch.windows) {
          const batch = empty();
          pack(() => list[at++ % list.length], batch);
          yield batch;
        }
      },
    },
  };
}

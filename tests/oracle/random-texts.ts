/** Texts that tokenizers stumble over: a seeded mix of scripts, spaces, marks, emoji, control characters and names. */

/** Single characters come from ranges, [first, last] code point, each range as likely as another. */
const ranges: readonly (readonly [number, number])[] = [
  [0x20, 0x7e],
  [0x61, 0x7a],
  [0x30, 0x39],
  [0x00, 0x1f],
  [0x7f, 0xa0],
  [0xa1, 0x17f],
  [0x300, 0x36f],
  [0x370, 0x3ff],
  [0x400, 0x45f],
  [0x5d0, 0x5ea],
  [0x621, 0x652],
  [0x660, 0x669],
  [0x904, 0x94d],
  [0xe01, 0xe3a],
  [0x2000, 0x206f],
  [0x2150, 0x218b],
  [0x3000, 0x30ff],
  [0x4e00, 0x9fff],
  [0xac00, 0xd7a3],
  [0xd800, 0xdfff],
  [0xfe00, 0xfe0f],
  [0xff01, 0xff5e],
  [0x1f1e6, 0x1f1ff],
  [0x1f300, 0x1faff],
  [0x20000, 0x2a6df],
  [0x80, 0x10ffff],
];

/** Pieces with a meaning for one tokenizer or another. */
const fragments: readonly string[] = [
  " ",
  "  ",
  "    ",
  "\n",
  "\n\n",
  "\r\n",
  "\t",
  " \n ",
  "'s",
  "'LL",
  "n't",
  "’re",
  "the",
  " The",
  " llama",
  "Hello",
  "123",
  "1234567",
  "3.14",
  "...",
  "!!",
  "<s>",
  "</s>",
  "<unk>",
  "<0x0A>",
  "<|im_start|>",
  "<|im_end|>",
  "<|endoftext|>",
  "▁",
  "Ġ",
  "Ċ",
  "👩‍👩‍👧",
  "👍🏽",
  "e\u0301",
  "ﬁ",
  "\ufeff",
];

/** Returns the same texts on every run with the same seed. */
export function randomTexts(count: number, seed = 1): string[] {
  const random = mulberry32(seed);
  const below = (limit: number): number => Math.floor(random() * limit);
  return Array.from({ length: count }, () => {
    let text = "";
    for (let partCount = 1 + below(24); partCount > 0; partCount--) {
      if (random() < 0.4) text += fragments[below(fragments.length)];
      else {
        const [first, last] = ranges[below(ranges.length)] ?? [0x20, 0x7e];
        // A run of one script, as words are.
        for (let length = 1 + below(5); length > 0; length--)
          text += String.fromCodePoint(first + below(last - first + 1));
      }
    }
    return text;
  });
}

/** A small generator of uniform numbers in [0, 1), for repeatable tests. */
function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

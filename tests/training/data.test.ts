/** From files to batches: shapes, masks, packing, splits, and that batches depend on nothing but their number. */
import { describe, expect, it } from "vitest";
import { chatFormat } from "../../src/generate/chat-format/detect.ts";
import { createTokenizer } from "../../src/tokenizer/create-tokenizer.ts";
import type { Batch } from "../../src/train/data/batch.ts";
import type { TokenCache } from "../../src/train/data/cache-file.ts";
import { createDataset, type DatasetOptions } from "../../src/train/data/dataset.ts";
import { exampleOf } from "../../src/train/data/example.ts";
import { permuted } from "../../src/train/data/permutation.ts";
import { readRecords } from "../../src/train/data/records.ts";
import { openTokenCache } from "../../src/train/data/token-cache.ts";
import { sentencePieceVocabulary } from "../builders/vocabulary.ts";
import { memoryFiles } from "../memory-files.ts";

const letters = Array.from({ length: 94 }, (_, i) => String.fromCharCode(33 + i));
const tokenizer = createTokenizer(sentencePieceVocabulary(["▁", ...letters]));
const template =
  "{{ bos_token }}{% for m in messages %}{% if m.role == 'assistant' %}A:{{ m.content }}{{ eos_token }}{% else %}U:{{ m.content }}{% endif %}{% endfor %}{% if add_generation_prompt %}A:{% endif %}";
const format = chatFormat(template, tokenizer);

async function cacheOf(
  files: ReturnType<typeof memoryFiles>,
  path: string,
  fingerprint = "f",
): Promise<TokenCache> {
  return openTokenCache(path, `${path}.tokens`, files, { tokenizer, chatFormat: () => format, fingerprint });
}

async function recordsOf(name: string, contents: string | Uint8Array) {
  const list = [];
  for await (const record of readRecords(name, memoryFiles({ [name]: contents }))) list.push(record);
  return list;
}

/** Each of one letter only. */
const texts = Array.from({ length: 60 }, (_, i) => `${letters[i]}`.repeat(1 + ((i * 7) % 33)));
const options: DatasetOptions = { seed: 3, validation: 0, rows: 2, length: 40 };

async function take(batches: AsyncIterable<Batch>, count: number): Promise<Batch[]> {
  const list: Batch[] = [];
  for await (const batch of batches) {
    list.push(batch);
    if (list.length === count) break;
  }
  return list;
}

describe("records", () => {
  it("reads documents, lines, lists and rows", async () => {
    const text = await recordsOf("a.txt", "one\n<|endoftext|>\ntwo\n<|endoftext|>\n");
    expect(text.map(({ fields }) => fields.text)).toEqual(["one", "two"]);
    const lines = await recordsOf("a.jsonl", '{"text":"x"}\n\n{"text":"ü"}');
    expect(lines.map(({ where }) => where)).toEqual(["a.jsonl, line 1", "a.jsonl, line 3"]);
    expect((await recordsOf("a.json", '[{"text":"x"}]'))[0].fields).toEqual({ text: "x" });
    const rows = await recordsOf("a.csv", 'prompt,completion\n"a, b","c\nd"\ne,f\n');
    expect(rows.map(({ fields }) => fields)).toEqual([
      { prompt: "a, b", completion: "c\nd" },
      { prompt: "e", completion: "f" },
    ]);
  });

  it.each([
    ["a.jsonl", "{}\n{x}", /line 2: not valid JSON/],
    ["a.jsonl", "[1]", /line 1: expected an object/],
    ["a.json", "{}", /expected a list/],
    ["a.txt", Uint8Array.of(0xff, 0xfe, 0xff), /not UTF-8/],
    ["a.csv", 'a,b\n"x', /broken CSV/],
    ["a.parquet", "no parquet at all", /broken Parquet/],
    ["a.xls", "", /expected a \.txt/],
  ])("refuses a broken %s", async (name, contents, message) => {
    await expect(recordsOf(name, contents)).rejects.toThrow(message);
  });
});

describe("shapes", () => {
  const of = (fields: Record<string, unknown>) => exampleOf({ fields, where: "x, line 1" });
  const [user, answer] = [
    { role: "user", content: "q" },
    { role: "assistant", content: "a" },
  ];

  it.each([
    [{ messages: [user, answer] }],
    [{ prompt: "q", completion: "a" }],
    [{ prompt: [user], completion: [answer] }],
    [{ instruction: "q", input: "", output: "a" }],
    [
      {
        conversations: [
          { from: "human", value: "q" },
          { from: "gpt", value: "a" },
        ],
      },
    ],
  ])("%j is a conversation", (fields) => {
    expect(of(fields)).toEqual({ kind: "chat", messages: [user, answer] });
  });

  it.each([
    [{ prompt: "q", chosen: "a", rejected: "b" }],
    [{ instruction: "q", input: "", output: "a", chosen: "a", rejected: "b" }],
    [
      {
        conversations: [{ from: "human", value: "q" }],
        chosen: { from: "gpt", value: "a" },
        rejected: { from: "gpt", value: "b" },
      },
    ],
    [{ chosen: [user, answer], rejected: [user, { role: "assistant", content: "b" }] }],
    [{ chosen: "\n\nHuman: q\n\nAssistant: a", rejected: "\n\nHuman: q\n\nAssistant: b" }],
    // As TRL's sets have it: the prompt beside whole conversations, and the preferred one of them again.
    [
      {
        ...{ prompt: "q", messages: [user, answer], score_chosen: 8 },
        ...{ chosen: [user, answer], rejected: [user, { role: "assistant", content: "b" }] },
      },
    ],
  ])("%j is a preference", (fields) => {
    const rejected = [{ role: "assistant", content: "b" }];
    expect(of(fields)).toEqual({ kind: "preference", prompt: [user], chosen: [answer], rejected });
  });

  it("keeps a system message that only the prompt has", () => {
    const system = { role: "system", content: "s" };
    const rejected = { role: "assistant", content: "b" };
    const fields = { system: "s", prompt: "q", chosen: [user, answer], rejected: [user, rejected] };
    const preference = { kind: "preference", chosen: [answer], rejected: [rejected] };
    expect(of(fields)).toEqual({ ...preference, prompt: [system, user] });
    expect(of({ ...fields, chosen: [system, user, answer] })).toBeUndefined();
    // Answers of several turns are no whole conversations.
    const turns = { chosen: [answer, user, answer], rejected: [rejected] };
    expect(of({ prompt: "q", ...turns })).toEqual({ ...preference, ...turns, prompt: [user] });
  });

  it("names the fields that it does not know", () => {
    expect(() => of({ question: "q" })).toThrow(/x, line 1: the fields question are no known shape/);
  });
});

it("learns answers only, and their ends", async () => {
  const line = {
    messages: [
      ["user", "hi"],
      ["assistant", "yo"],
      ["user", "k"],
      ["assistant", "ok"],
    ].map(([role, content]) => ({ role, content })),
  };
  const cache = await cacheOf(memoryFiles({ "c.jsonl": JSON.stringify(line) }), "c.jsonl");
  const { ids, learned } = await cache.read(0);
  const taught = [...ids].filter((_, i) => learned[i]);
  expect(tokenizer.decode(taught).trim()).toBe("yook");
  expect(taught.filter((id) => id === 2)).toHaveLength(2);
  expect(cache.charactersOf(0)).toBe(4);
});

it("makes a stale or damaged cache anew", async () => {
  const files = memoryFiles({ "t.txt": "abc" });
  expect((await cacheOf(files, "t.txt")).tokensOf(0)).toBe(6);
  files.contents.set("t.txt", new TextEncoder().encode("abcdef"));
  expect((await cacheOf(files, "t.txt")).tokensOf(0)).toBe(6);
  expect((await cacheOf(files, "t.txt", "other")).tokensOf(0)).toBe(9);
  const bytes = files.contents.get("t.txt.tokens") as Uint8Array;
  files.contents.set("t.txt.tokens", bytes.subarray(4));
  expect((await cacheOf(files, "t.txt", "other")).tokensOf(0)).toBe(9);
});

it("makes a cache anew whose contents were damaged anywhere", async () => {
  const files = memoryFiles({ "t.txt": texts.join("<|endoftext|>") });
  await cacheOf(files, "t.txt");
  const whole = files.contents.get("t.txt.tokens") as Uint8Array;
  for (let at = 0; at < whole.length; at += 97) {
    const damaged = whole.slice();
    damaged[at] ^= 0x10;
    files.contents.set("t.txt.tokens", damaged);
    await cacheOf(files, "t.txt");
    expect(files.contents.get("t.txt.tokens"), `byte ${at}`).toEqual(whole);
  }
});

it("leaves no cache behind when it is interrupted", async () => {
  const files = memoryFiles({ "t.txt": texts.join("<|endoftext|>") });
  const stopped = openTokenCache("t.txt", "c.tokens", files, {
    tokenizer,
    chatFormat: () => format,
    fingerprint: "f",
    signal: AbortSignal.abort(),
  });
  await expect(stopped).rejects.toMatchObject({ code: "aborted" });
  expect(files.contents.has("c.tokens")).toBe(false);
});

it("keeps ids of large vocabularies", async () => {
  const many = Array.from({ length: 40_000 }, (_, i) => String.fromCodePoint(0x20000 + i));
  const large = createTokenizer(sentencePieceVocabulary(["▁", ...many]));
  const text = many.filter((_, i) => i % 1000 === 999).join("");
  const files = memoryFiles({ "t.txt": text });
  const options = { tokenizer: large, chatFormat: () => format, fingerprint: "f" };
  const cache = await openTokenCache("t.txt", "c.tokens", files, options);
  const { ids, learned } = await cache.read(0);
  expect([...ids]).toEqual([...large.encode(text, { addSpecial: true }), 2]);
  expect([...ids].some((id) => id > 0x8000)).toBe(true);
  expect([...learned]).toEqual([...ids].map((_, i) => (i === 0 ? 0 : 1)));
  const part = await cache.read(0, 5, 3);
  expect([...part.ids]).toEqual([...ids].slice(5, 8));
});

it("refuses data without an example", async () => {
  await expect(cacheOf(memoryFiles({ "t.txt": "  \n" }), "t.txt")).rejects.toThrow(/holds no example/);
  const mixed = '{"text":"x"}\n{"prompt":"q","chosen":"a","rejected":"b"}';
  await expect(cacheOf(memoryFiles({ "t.jsonl": mixed }), "t.jsonl")).rejects.toThrow(
    /line 2: preferences and other/,
  );
});

describe("batches", () => {
  const sourceOf = async (list = texts) => ({
    cache: await cacheOf(memoryFiles({ "t.txt": list.join("\n<|endoftext|>\n") }), "t.txt"),
    weight: 1,
  });

  it("hold whole texts, each seeing itself alone, with the next token as target", async () => {
    const dataset = createDataset([await sourceOf()], options);
    for (const batch of await take(dataset.batches(0), 20))
      for (let t = 0; t < 80; t++) {
        const start = batch.starts[t];
        expect(Math.floor(start / 40)).toBe(Math.floor(t / 40));
        expect(batch.positions[t]).toBe(t - start);
        if (batch.weights[t] === 0) continue;
        // Every text begins with bos, and is one letter throughout until its end.
        expect(batch.tokens[start]).toBe(1);
        if (t + 1 < 80 && batch.starts[t + 1] === start) expect(batch.tokens[t + 1]).toBe(batch.targets[t]);
        else expect(batch.targets[t]).toBe(2);
      }
  });

  it("bring every text once an epoch, in another order each time", async () => {
    const dataset = createDataset([await sourceOf()], options);
    const seen: number[] = [];
    for (const batch of await take(dataset.batches(0), 60))
      batch.positions.forEach((position, t) => {
        if (position === 2 && batch.weights[t]) seen.push(batch.tokens[t]);
      });
    const [first, second] = [seen.slice(0, 60), seen.slice(60, 120)];
    expect(new Set(first).size).toBeGreaterThan(50);
    expect(first).not.toEqual(second);
  });

  it("depend on their number alone", async () => {
    const dataset = createDataset([await sourceOf()], options);
    const all = await take(dataset.batches(0), 9);
    expect(await take(dataset.batches(7), 2)).toEqual(all.slice(7));
    const other = createDataset([await sourceOf()], { ...options, seed: 4 });
    expect(await take(other.batches(0), 1)).not.toEqual(all.slice(0, 1));
  });

  it("cut what is longer than a window, without losing a target", async () => {
    const dataset = createDataset([await sourceOf(["a".repeat(100)])], options);
    const [batch] = await take(dataset.batches(0), 1);
    expect(batch.weights.reduce((sum, weight) => sum + weight, 0)).toBe(80);
    expect([...batch.tokens.subarray(40, 80)]).toEqual([...batch.targets.subarray(39, 79)]);
  });

  it("leave out the windows of a long question that come before its answer", async () => {
    const line = { prompt: "q".repeat(200), completion: "yes" };
    const source = {
      cache: await cacheOf(memoryFiles({ "c.jsonl": JSON.stringify(line) }), "c.jsonl"),
      weight: 1,
    };
    const dataset = createDataset([source], { ...options, rows: 1 });
    for (const batch of await take(dataset.batches(0), 6)) {
      const taught = [...batch.targets].filter((_, t) => batch.weights[t]);
      expect(tokenizer.decode(taught).trim()).not.toBe("");
    }
  });

  it("keep equal texts on one side of the split", async () => {
    const twice = [...texts, ...texts];
    const dataset = createDataset([await sourceOf(twice)], { ...options, validation: 0.3 });
    expect(dataset.heldOut).toBeGreaterThan(10);
    const lettersIn = (batches: Batch[]) =>
      new Set(
        batches.flatMap((batch) =>
          [...batch.tokens].filter((_, t) => batch.weights[t] && batch.positions[t] >= 2),
        ),
      );
    const held = lettersIn(await take(dataset.validation(1000), 1000));
    const learned = lettersIn(await take(dataset.batches(0), 60));
    for (const id of held) expect(learned.has(id)).toBe(false);
    expect(dataset.charactersPerToken).toBeGreaterThan(0.5);
  });

  it("leave out or refuse what is longer than a window, where that is asked for", async () => {
    const source = await sourceOf(["a".repeat(100), "b", "c".repeat(60)]);
    expect(createDataset([source], options)).toMatchObject({ documents: 3, cut: 2, tooLong: 0 });
    const skipping = createDataset([source], { ...options, long: "skip" });
    expect(skipping).toMatchObject({ documents: 1, cut: 0, tooLong: 2 });
    expect(() => createDataset([source], { ...options, long: "refuse" })).toThrow(
      "document 1 of data source 1 has 103 tokens, but a window holds 41",
    );
    const none = await sourceOf(["a".repeat(100)]);
    expect(() => createDataset([none], { ...options, long: "skip" })).toThrow(/nothing to learn from/);
  });

  it("take tokens of the sources by their weights", async () => {
    const [a, b] = [await sourceOf(["a".repeat(9)]), await sourceOf(["b".repeat(19), "b".repeat(5)])];
    const dataset = createDataset([a, { ...b, weight: 3 }], options);
    const counts = new Map<number, number>();
    for (const batch of await take(dataset.batches(0), 100))
      for (const id of batch.tokens) counts.set(id, (counts.get(id) ?? 0) + 1);
    const [ofA, ofB] = ["a", "b"].map((letter) => counts.get(tokenizer.idOf(letter) ?? 0) ?? 0);
    expect(ofB / ofA).toBeGreaterThan(2.7);
    expect(ofB / ofA).toBeLessThan(3.6);
  });

  it("are as many held-out characters as their learned tokens stand for", async () => {
    const chat = {
      messages: [
        { role: "user", content: "question" },
        { role: "assistant", content: "yes" },
      ],
    };
    const files = memoryFiles({ "c.jsonl": JSON.stringify(chat), "t.txt": "abcdef" });
    const sources = [await cacheOf(files, "c.jsonl"), await cacheOf(files, "t.txt")];
    // Answer: y e s </s>. Text: ▁ a b c d e f </s>. Nothing of the question counts.
    const parts = sources.map((cache) => [cache.charactersOf(0), cache.learnedOf(0)]);
    expect(parts).toEqual([
      [3, 4],
      [6, 8],
    ]);
    const held = sources.map((cache) => ({ cache, weight: 1 }));
    const own = await sourceOf();
    const validation = Math.max(...sources.map((cache) => cache.hashOf(0))) / 2 ** 32 + 1e-9;
    const dataset = createDataset([...held, own], { ...options, validation });
    expect(dataset.heldOut).toBeGreaterThanOrEqual(2);
    let weights = 0;
    for await (const batch of dataset.validation(10_000))
      weights += batch.weights.reduce((sum, weight) => sum + weight, 0);
    const totals = { characters: 0, learned: 0 };
    for (const { cache } of [...held, own])
      for (let i = 0; i < cache.documentCount; i++) {
        if (cache.hashOf(i) / 2 ** 32 >= validation) continue;
        totals.characters += cache.charactersOf(i);
        totals.learned += cache.learnedOf(i);
      }
    expect(weights).toBe(totals.learned);
    expect(dataset.charactersPerToken).toBeCloseTo(totals.characters / totals.learned, 10);
  });

  it("hold out every preference once", async () => {
    const lines = letters.slice(0, 50).map((letter) => ({ prompt: letter, chosen: "good", rejected: "bad" }));
    const files = memoryFiles({ "p.jsonl": lines.map((line) => JSON.stringify(line)).join("\n") });
    const source = { cache: await cacheOf(files, "p.jsonl"), weight: 1 };
    const dataset = createDataset([source], { ...options, validation: 0.5 });
    expect(dataset.heldOut + dataset.documents).toBe(50);
    const batches = await take(dataset.validation(1000), 1000);
    expect(batches).toHaveLength(dataset.heldOut);
    expect(new Set(batches.map(({ tokens }) => tokens.join())).size).toBe(dataset.heldOut);
  });

  it("learn a text longer than a window as often as the others, however many of them fit", async () => {
    const source = await sourceOf([...texts, "z".repeat(100)]);
    const dataset = createDataset([source], { ...options, validation: 0 });
    const long = tokenizer.encode("zz").at(-1);
    let seen = 0;
    // Three epochs and some.
    for (const batch of await take(dataset.batches(0), Math.ceil((3.5 * dataset.tokens) / 80)))
      seen += batch.targets.filter((id, t) => id === long && batch.weights[t] === 1).length;
    expect(seen).toBeGreaterThanOrEqual(300);
  });

  it("pair preferences, and leave out what is longer than a window", async () => {
    const lines = [
      { prompt: "q", chosen: "good", rejected: "bad" },
      { prompt: "q", chosen: "x".repeat(50), rejected: "bad" },
    ];
    const files = memoryFiles({ "p.jsonl": lines.map((line) => JSON.stringify(line)).join("\n") });
    const dataset = createDataset([{ cache: await cacheOf(files, "p.jsonl"), weight: 1 }], options);
    expect(dataset.tooLong).toBe(1);
    const [batch] = await take(dataset.batches(0), 1);
    const answer = (window: number) => {
      const part = batch.targets.subarray(window * 40, window * 40 + 40);
      return tokenizer.decode([...part].filter((_, i) => batch.weights[window * 40 + i])).trim();
    };
    expect([answer(0), answer(1)]).toEqual(["good", "bad"]);
  });
});

it("a permutation visits every place once", () => {
  for (const count of [1, 2, 7, 64, 1000]) {
    const places = Array.from({ length: count }, (_, i) => permuted(i, count, 5));
    expect(new Set(places).size).toBe(count);
    expect(Math.max(...places)).toBe(count - 1);
  }
});

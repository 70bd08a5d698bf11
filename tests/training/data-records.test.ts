/** Every format and shape of training data, as files of this project's own and as the public sets have them. */
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { chatFormat } from "../../src/generate/chat-format/detect.ts";
import { nodeFiles } from "../../src/platform/node/file-system.ts";
import { createTokenizer } from "../../src/tokenizer/create-tokenizer.ts";
import { encodeExample } from "../../src/train/data/encode.ts";
import { exampleOf } from "../../src/train/data/example.ts";
import { type DataRecord, type ReadOptions, readRecords } from "../../src/train/data/records.ts";
import { openTokenCache } from "../../src/train/data/token-cache.ts";
import { sentencePieceVocabulary } from "../builders/vocabulary.ts";
import { dataFile } from "../data.ts";
import { memoryFiles } from "../memory-files.ts";

async function recordsOf(
  name: string,
  contents: string | Uint8Array,
  options: ReadOptions = {},
): Promise<DataRecord[]> {
  return all(readRecords(name, memoryFiles({ [name]: contents }), options));
}

async function all(records: AsyncIterable<DataRecord>): Promise<DataRecord[]> {
  const list: DataRecord[] = [];
  for await (const record of records) list.push(record);
  return list;
}

const [user, assistant] = [
  { role: "user", content: "q" },
  { role: "assistant", content: "a" },
];
const chat = { kind: "chat", messages: [user, assistant] };
/** A record of each shape, and what it teaches; scripts/oracle/parquet.py writes the same. */
const shapes: Readonly<Record<string, { record: Readonly<Record<string, unknown>>; example: unknown }>> = {
  text: { record: { text: "a" }, example: { kind: "text", text: "a" } },
  messages: { record: { messages: [user, assistant] }, example: chat },
  completion: { record: { prompt: "q", completion: "a" }, example: chat },
  alpaca: { record: { instruction: "q", input: "", output: "a" }, example: chat },
  sharegpt: {
    record: {
      conversations: [
        { from: "human", value: "q" },
        { from: "gpt", value: "a" },
      ],
    },
    example: chat,
  },
  preference: {
    record: { prompt: "q", chosen: "a", rejected: "b" },
    example: {
      kind: "preference",
      prompt: [user],
      chosen: [assistant],
      rejected: [{ role: "assistant", content: "b" }],
    },
  },
};

describe("files", () => {
  it.each(Object.entries(shapes))("%s in every kind of file", async (name, { record, example }) => {
    const json = JSON.stringify(record);
    // As a table has it: lists are JSON in a cell.
    const cells = Object.values(record).map((value) =>
      typeof value === "string" ? value : JSON.stringify(value),
    );
    const quoted = cells.map((cell) => `"${cell.replaceAll('"', '""')}"`);
    const header = Object.keys(record);
    for (const [file, contents] of [
      ["a.jsonl", `${json}\n${json}`],
      ["a.json", `[${json},${json}]`],
      ["a.csv", `${header.join(",")}\n${quoted.join(",")}\n${quoted.join(",")}`],
      ["a.tsv", `${header.join("\t")}\n${quoted.join("\t")}\n${quoted.join("\t")}`],
    ])
      expect((await recordsOf(file, contents)).map(exampleOf), file).toEqual([example, example]);
    const path = join(import.meta.dirname, "..", "fixtures", "parquet", `${name}.parquet`);
    expect((await all(readRecords(path, nodeFiles))).map(exampleOf)).toEqual([example, example]);
  });

  it("gzipped ones, and says when they are damaged", async () => {
    const zipped = new Uint8Array(gzipSync('{"text":"a"}\n{"text":"b"}\n'));
    expect(await recordsOf("a.jsonl.gz", zipped)).toHaveLength(2);
    const reasons = ["unexpected end of file", "incorrect header check"];
    for (const [index, broken] of [zipped.subarray(0, 20), Uint8Array.of(1, 2, 3)].entries())
      await expect(recordsOf("a.jsonl.gz", broken)).rejects.toMatchObject({
        code: "bad-file",
        message: `a.jsonl.gz: damaged gzip data: ${reasons[index]}`,
      });
  });

  it("tables separated by tabs, and empty lines between rows", async () => {
    const records = await recordsOf("a.tsv", "\ufeffprompt\tcompletion\nq\ta, b\n\nr\tc\n");
    expect(records.map(({ fields }) => fields)).toEqual([
      { prompt: "q", completion: "a, b" },
      { prompt: "r", completion: "c" },
    ]);
    expect(records[1].where).toBe("a.tsv, line 4");
    const many = Array.from({ length: 30_000 }, (_, i) => `"${i}\n""x""",b`);
    const long = await recordsOf("a.csv", `a,b\r\n${many.join("\r\n")}`);
    expect(long).toHaveLength(30_000);
    expect(long[29_999]).toEqual({ fields: { a: '29999\n"x"', b: "b" }, where: "a.csv, line 60000" });
    await expect(recordsOf("a.csv", `a,b\n1,2\n1,2"x"\n`)).rejects.toThrow("a.csv, line 3: broken CSV");
    await expect(recordsOf("a.csv", "a,b\n1,2,3\n")).rejects.toThrow("a.csv, line 2: broken CSV");
  });

  it("text whose documents are a prompt and an answer", async () => {
    const text = { separator: "<end>", pair: "<start>" };
    const records = await recordsOf("a.md", "Why?<start>Because.<end>\nHow?\n<start>\nSo.<end>\n", { text });
    expect(records.map(exampleOf)).toEqual(
      [
        ["Why?", "Because."],
        ["How?", "So."],
      ].map(([question, answer]) => ({
        kind: "chat",
        messages: [
          { role: "user", content: question },
          { role: "assistant", content: answer },
        ],
      })),
    );
    await expect(recordsOf("a.md", "no mark<end>", { text })).rejects.toThrow(
      'a.md, document 1: expected "<start>"',
    );
  });

  it("characters and separators that lie across the blocks that are read", async () => {
    // Blocks have 2^20 bytes; the euro sign has three, so that block ends fall inside of it and of separators.
    const texts = Array.from({ length: 7 }, (_, i) => "€".repeat(150_000 + i * 1117));
    const records = await recordsOf("a.txt", texts.join("<|endoftext|>"));
    expect(records.map(({ fields }) => fields.text)).toEqual(texts);
  });

  it("a text without separators, in parts that end at a line's end and lose nothing", async () => {
    const line = `${"word ".repeat(20).trim()}\n`;
    const text = line.repeat(100_000);
    const records = await recordsOf("a.txt", text);
    expect(records.length).toBeGreaterThan(1);
    const parts = records.map(({ fields }) => String(fields.text));
    expect(parts.join("\n")).toBe(text.trim());
  });

  it("names the line that is no UTF-8", async () => {
    const bytes = new TextEncoder().encode('{"text":"ü"}\n{"text":"é"}\n{"text":"x"}\n');
    bytes[bytes.indexOf(0xa9)] = 0xff;
    await expect(recordsOf("a.jsonl", bytes)).rejects.toThrow("a.jsonl, line 2: not UTF-8");
    await expect(recordsOf("a.txt", Uint8Array.of(0x61, 0xe2, 0x82))).rejects.toThrow(
      "a.txt, line 1: not UTF-8",
    );
  });

  it("stop when the signal fires", async () => {
    const signal = AbortSignal.abort();
    await expect(recordsOf("a.txt", "x", { signal })).rejects.toMatchObject({ code: "aborted" });
  });
});

describe("records", () => {
  const of = (fields: Record<string, unknown>) => exampleOf({ fields, where: "x, line 1" });

  it.each([
    ["an empty text", { text: "  \n" }],
    ["a conversation without an answer", { messages: [{ role: "user", content: "q" }] }],
    ["an answer that people disliked", { prompt: "q", completion: "a", label: false }],
    ["the same as Python writes a table", { prompt: "q", completion: "a", label: "False" }],
    ["two equal answers", { prompt: "q", chosen: "a", rejected: "a" }],
    ["an empty answer", { instruction: "q", input: "", output: " " }],
    ["an answer that is null", { prompt: "q", completion: null }],
    ["a preferred answer that is null", { prompt: "q", chosen: null, rejected: "b" }],
    ["a conversation that is null", { messages: null }],
    ["a conversation whose answer is null", { messages: [user, { role: "assistant", content: null }] }],
  ])("%s is left out", (_name, fields) => {
    expect(of(fields)).toBeUndefined();
  });

  it("columns without a value are not there", () => {
    const fields = { text: null, messages: null, prompt: "q", completion: "a", system: null };
    expect(of(fields)).toMatchObject({ kind: "chat", messages: [{ content: "q" }, { content: "a" }] });
  });

  it("a system message, a history and an input come before the question", () => {
    const fields = { instruction: "q", input: "i", output: "a", system: "s", history: [["q0", "a0"]] };
    expect(of(fields)).toEqual({
      kind: "chat",
      messages: [
        { role: "system", content: "s" },
        { role: "user", content: "q0" },
        { role: "assistant", content: "a0" },
        { role: "user", content: "q\ni" },
        { role: "assistant", content: "a" },
      ],
    });
  });

  it("speakers of ShareGPT, with calls of functions", () => {
    const conversations = [
      ["human", "q"],
      ["function_call", '{"name":"f","arguments":{"x":1}}'],
      ["observation", "2"],
      ["gpt", "a"],
    ].map(([from, value]) => ({ from, value }));
    expect(of({ conversations })).toEqual({
      kind: "chat",
      messages: [
        { role: "user", content: "q" },
        { role: "assistant", content: "", toolCalls: [{ name: "f", arguments: { x: 1 } }] },
        { role: "tool", content: "2" },
        { role: "assistant", content: "a" },
      ],
    });
  });

  it("calls of functions as OpenAI has them", () => {
    const call = { id: "c1", type: "function", function: { name: "f", arguments: '{"x":1}' } };
    const messages = [
      user,
      { role: "assistant", content: null, tool_calls: [call] },
      { role: "tool", content: "2", name: "f", tool_call_id: "c1" },
      { ...assistant, tool_calls: [] },
    ];
    const toolCalls = [{ id: "c1", name: "f", arguments: { x: 1 } }];
    expect(of({ messages })).toEqual({
      kind: "chat",
      messages: [
        user,
        { role: "assistant", content: "", toolCalls },
        { role: "tool", content: "2", name: "f", toolCallId: "c1" },
        assistant,
      ],
    });
    const other = { ...call, function: { name: "g", arguments: {} } };
    const [chosen, rejected] = [call, other].map((one) => [{ role: "assistant", tool_calls: [one] }]);
    expect(of({ prompt: "q", chosen, rejected })).toMatchObject({
      chosen: [{ toolCalls }],
      rejected: [{ toolCalls: [{ name: "g", arguments: {} }] }],
    });
  });

  it.each([
    ["an unknown speaker", { messages: [{ role: "boss", content: "q" }] }, 'found "boss"'],
    [
      "a message without text",
      { messages: [{ role: "user", content: 3 }] },
      "messages[0].content: expected a string",
    ],
    ["a question that is null", { messages: [{ role: "user", content: null }] }, "found nothing"],
    [
      "a call that is none",
      { messages: [user, { role: "assistant", content: null, tool_calls: [null] }] },
      "messages[1]: expected a call",
    ],
    ["messages that are no list", { messages: "q" }, 'messages: expected a list of messages, found "q"'],
    ["a text that is none", { text: 3 }, "text: expected a string, found number"],
    ["nothing", {}, "the fields (none) are no known shape; expected text; messages"],
  ])("refuses %s", (_name, fields, message) => {
    expect(() => of(fields)).toThrow(message);
  });
});

describe("the public sets are read whole", () => {
  const sets: readonly [string, string, number, ReadOptions?][] = [
    ["text/tinystories/tinystories.txt", "text", 4041],
    ["text/c4-wiki-demo/c4_demo.jsonl", "text", 300],
    ["text/snakes/generated-child-1.md", "chat", 50, { text: { separator: "<end>", pair: "<start>" } }],
    ["instructions/short-tasks/instruction-data.json", "chat", 1100],
    ["instructions/dolly-hhrlhf/dolly_hhrlhf_train_small.jsonl", "chat", 1000],
    ["preferences/hh-rlhf/harmless-base.test.jsonl.gz", "preference", 2000],
    ["preferences/demo/polite-vs-rude.json", "preference", 1000],
    ["preferences/demo/dpo_en_demo.json", "preference", 300],
    ["preferences/demo/kto_en_demo.json", "chat", 100],
  ];
  it.each(sets)("%s", async (name, kind, least, options) => {
    const path = dataFile(name);
    if (!path) return;
    const examples = (await all(readRecords(path, nodeFiles, options))).map(exampleOf);
    const usable = examples.filter((example) => example !== undefined);
    expect(new Set(usable.map((example) => example.kind))).toEqual(new Set([kind]));
    expect(usable.length).toBeGreaterThanOrEqual(least);
    // hh-rlhf has a handful of pairs whose answers are equal or empty; half of the KTO rows are disliked answers.
    if (!name.includes("kto")) expect(usable.length).toBeGreaterThan(0.98 * examples.length);
  });
});

describe("the answers that are learned", () => {
  const letters = Array.from({ length: 94 }, (_, i) => String.fromCharCode(33 + i));
  const base = sentencePieceVocabulary(["▁", ...letters, "<|im_start|>", "<|im_end|>"]);
  const kinds = base.kinds.slice();
  kinds.fill(3, base.pieces.length - 2);
  const tokenizer = createTokenizer({ ...base, kinds });
  const messages = [
    ["system", "sys"],
    ["user", "q1"],
    ["assistant", "yes"],
    ["user", "q2"],
    ["assistant", "no"],
  ].map(([role, content]) => ({ role, content }));
  const markOf = { llama2: "</s>", chatml: "<|im_end|>", zephyr: "</s>", mistral: "</s>" };

  it.each(Object.entries(markOf))(
    "in the format %s are the answers and their end marks",
    async (name, mark) => {
      const files = memoryFiles({ "c.jsonl": JSON.stringify({ messages }) });
      const cache = await openTokenCache("c.jsonl", "c.tokens", files, {
        tokenizer,
        chatFormat: () => chatFormat(name, tokenizer),
        fingerprint: name,
      });
      const { ids, learned } = await cache.read(0);
      const taught = tokenizer.decode(
        [...ids].filter((_, i) => learned[i]),
        { showSpecial: true },
      );
      expect(taught.replaceAll(" ", "")).toBe(`yes${mark}no${mark}`);
      expect(cache.learnedOf(0)).toBe(learned.reduce((sum, one) => sum + one, 0));
      expect([...ids]).toEqual(
        chatFormat(name, tokenizer).encode(messages as never, { addGenerationPrompt: false }),
      );
    },
  );

  it.each([
    ...Object.keys(markOf),
    // Without an end mark, which is then added.
    "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}",
  ])("are none where nothing is said, in the format %s", async (name) => {
    const silent = (content: string, last: object) =>
      JSON.stringify({
        messages: [{ role: "user", content: "q" }, { role: "assistant", content }, ...[last].flat()],
      });
    const call = {
      role: "assistant",
      content: null,
      tool_calls: [{ function: { name: "f", arguments: "{}" } }],
    };
    const lines = [
      silent("yes", [
        { role: "user", content: "q" },
        { role: "assistant", content: "" },
      ]),
      // This format does not show calls.
      silent("yes", [{ role: "user", content: "q" }, call]),
      silent("", []),
      JSON.stringify({ messages: [{ role: "user", content: "q" }, call] }),
    ];
    const files = memoryFiles({ "c.jsonl": lines.join("\n") });
    const cache = await openTokenCache("c.jsonl", "c.tokens", files, {
      tokenizer,
      chatFormat: () => chatFormat(name, tokenizer),
      fingerprint: name,
    });
    expect(cache).toMatchObject({ documentCount: 2, skipped: { count: 2 } });
    for (const document of [0, 1]) {
      const { ids, learned } = await cache.read(document);
      expect(tokenizer.decode([...ids].filter((_, i) => learned[i])).trim()).toBe("yes");
    }
  });

  it.each([
    ["OpenAI's", { messages }, [{ type: "function", function: { name: "f" } }]],
    ["a name alone", { messages }, [{ name: "f" }]],
    ["JSON of it", { prompt: "q1", chosen: "yes", rejected: "no" }, '[{"name":"f"}]'],
  ])("come after the tools that the record offers, as %s", async (_, record, tools) => {
    const template =
      "{% if tools %}{{ tools[0].type }} {{ tools[0].function.name }};{% endif %}{% for m in messages %}{{ m.role }} " +
      "{{ m.name }} {{ m.content }}{% endfor %}{% if add_generation_prompt %}assistant  {% endif %}";
    const example = exampleOf({ fields: { ...record, tools }, where: "x" });
    const encoder = { tokenizer, chatFormat: () => chatFormat(template, tokenizer) };
    for (const { ids, learned } of example ? encodeExample(example, encoder, "x") : []) {
      expect(tokenizer.decode([...ids])).toMatch(/^function f;/);
      expect(tokenizer.decode(ids.filter((_, i) => learned[i]))).toMatch(/yes|no/);
    }
    expect(() => exampleOf({ fields: { ...record, tools: "hammer" }, where: "x" })).toThrow(
      /tools: expected/,
    );
  });

  it("leaves out what the format cannot hold, and says so", async () => {
    const odd = { messages: [{ role: "assistant", content: "hi" }] };
    const files = memoryFiles({ "c.jsonl": `${JSON.stringify(odd)}\n${JSON.stringify({ messages })}` });
    const cache = await openTokenCache("c.jsonl", "c.tokens", files, {
      tokenizer,
      chatFormat: () => chatFormat("llama2", tokenizer),
      fingerprint: "f",
    });
    expect(cache.documentCount).toBe(1);
    expect(cache.skipped.count).toBe(1);
    expect(cache.skipped.first).toMatch(/^c\.jsonl, line 1: Llama 2's chat format/);
  });
});

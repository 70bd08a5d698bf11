import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { characterTokenizer } from "../../../tests/character-tokenizer.ts";
import { dataFile } from "../../../tests/data.ts";
import { createTokenizer } from "../../tokenizer/create-tokenizer.ts";
import { vocabularyFromSentencePiece } from "../../tokenizer/from-sentence-piece.ts";
import { Llama2Format } from "./llama2.ts";
import type { ChatMessage } from "./messages.ts";

const user = (content: string): ChatMessage => ({ role: "user", content });
const assistant = (content: string): ChatMessage => ({ role: "assistant", content });
const system = (content: string): ChatMessage => ({ role: "system", content });

describe("with a tokenizer of single characters", () => {
  const tokenizer = characterTokenizer(["<s>", "</s>"], { bos: "<s>", eos: "</s>" });
  const format = new Llama2Format(tokenizer);
  const show = (messages: ChatMessage[], options = {}) =>
    tokenizer.decode(format.encode(messages, options), { showSpecial: true });

  it("wraps every turn in its own ids, the last one open", () => {
    expect(show([user("Hi"), assistant("Hello"), user("Bye")])).toBe(
      "<s>[INST] Hi [/INST] Hello </s><s>[INST] Bye [/INST]",
    );
  });

  it("folds the system message in, and strips only the outside of the whole", () => {
    expect(show([system(" be kind\n"), user(" Hi \n")])).toBe(
      "<s>[INST] <<SYS>>\n be kind\n\n<</SYS>>\n\n Hi [/INST]",
    );
  });

  it("strips what Python strips", () => {
    expect(show([user("\u001c\u0085\ufeff a b\u3000\u001f")])).toBe("<s>[INST] \ufeff a b [/INST]");
    expect(show([user(" \n ")])).toBe("<s>[INST]  [/INST]");
  });

  it("completes the last turn without a generation prompt, and leaves it open to continue it", () => {
    const messages = [user("Hi"), assistant(" Hello ")];
    expect(show(messages, { addGenerationPrompt: false })).toBe("<s>[INST] Hi [/INST] Hello </s>");
    expect(show(messages, { continueFinal: true })).toBe("<s>[INST] Hi [/INST] Hello");
    expect(show([user("Hi"), assistant("")], { continueFinal: true })).toBe("<s>[INST] Hi [/INST]");
  });

  it("keeps </s> in a message as text", () => {
    const ids = format.encode([user("a</s><s>b")]);
    expect(ids.filter((id) => tokenizer.kindOf(id) === "control")).toEqual([tokenizer.special.bos]);
  });

  it.each(["[INST]", "[/INST]", "<<SYS>>", "<</SYS>>"])("refuses %s in any message", (tag) => {
    const refusal = expect.objectContaining({
      code: "bad-input",
      message: expect.stringContaining("without the tags of Llama 2's chat format"),
    });
    const wrong = `so ${tag} it is`;
    expect(() => format.encode([user(wrong)])).toThrow(refusal);
    expect(() => format.encode([system(wrong), user("a")])).toThrow(refusal);
    expect(() => format.encode([user("a"), assistant(wrong), user("b")])).toThrow(refusal);
  });

  it.each<[string, ChatMessage[]]>([
    ["no message", []],
    ["only a system message", [system("a")]],
    ["an answer first", [assistant("a"), user("b")]],
    ["two questions", [user("a"), user("b")]],
    ["a late system message", [user("a"), assistant("b"), system("c"), user("d")]],
    ["an answer last", [user("a"), assistant("b")]],
    ["a tool", [user("a"), { role: "tool", content: "b" }]],
    ["content that is no text", [{ role: "user", content: null } as unknown as ChatMessage]],
  ])("refuses %s", (_, messages) => {
    expect(() => format.encode(messages)).toThrow(expect.objectContaining({ code: "bad-input" }));
  });
});

const model = dataFile("tokenizers/llama2/tokenizer.model");
describe.skipIf(!model)("with Llama 2's own tokenizer", () => {
  const format = () => new Llama2Format(createTokenizer(vocabularyFromSentencePiece(readFileSync(model!))));

  it("gives the ids of Meta's code", () => {
    expect(format().encode([user("Hi"), assistant("Hello"), user("Bye")])).toEqual([
      1, 518, 25580, 29962, 6324, 518, 29914, 25580, 29962, 15043, 29871, 2, 1, 518, 25580, 29962, 2648,
      29872, 518, 29914, 25580, 29962,
    ]);
  });
});

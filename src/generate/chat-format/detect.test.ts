import { expect, it } from "vitest";
import { characterTokenizer } from "../../../tests/character-tokenizer.ts";
import { chatFormat } from "./detect.ts";
import { JinjaFormat } from "./jinja.ts";
import { Llama2Format } from "./llama2.ts";

const llama = characterTokenizer(["<s>", "</s>"], { bos: "<s>", eos: "</s>" });
const byteLevel = characterTokenizer(["<s>", "</s>"], { bos: "<s>", eos: "</s>", kind: "byte-level" });
const withToken = characterTokenizer(["<s>", "</s>", "[INST]"], { bos: "<s>", eos: "</s>" });
const llama2Jinja =
  "{{ bos_token }}{% for m in messages %}[INST] <<SYS>> {{ m.content }} [/INST]{% endfor %}";

it("takes Llama 2's own code for its template and its name", () => {
  expect(chatFormat(llama2Jinja, llama)).toBeInstanceOf(Llama2Format);
  expect(chatFormat("llama2", llama)).toBeInstanceOf(Llama2Format);
});

it("takes the template where the vocabulary is not Llama 2's, or the template is another", () => {
  expect(chatFormat(llama2Jinja, byteLevel)).toBeInstanceOf(JinjaFormat);
  expect(chatFormat(llama2Jinja, withToken)).toBeInstanceOf(JinjaFormat);
  expect(chatFormat("[INST] {{ messages[0].content }} [/INST]", llama)).toBeInstanceOf(JinjaFormat);
});

it.each(["chatml", "zephyr", "mistral", "llama3"])("knows %s by name", (name) => {
  expect(chatFormat(name, llama).encode([{ role: "user", content: "Hi" }]).length).toBeGreaterThan(2);
});

it("says how to name a template when there is none, and which names there are", () => {
  for (const none of [undefined, "", " \n"])
    expect(() => chatFormat(none, llama)).toThrow(
      expect.objectContaining({ code: "not-found", message: expect.stringContaining("--chat-template") }),
    );
  expect(() => chatFormat("lama2", llama)).toThrow(/no built-in chat template "lama2".*llama2, chatml/);
  expect(() => chatFormat("llama2", characterTokenizer([]))).toThrow(
    expect.objectContaining({ code: "unsupported" }),
  );
});

/** Chat templates: the Jinja text that a model file brings. */
import { builtInTemplates } from "../../../src/generate/chat-format/built-in-templates.ts";
import { JinjaFormat } from "../../../src/generate/chat-format/jinja.ts";
import type { ChatMessage } from "../../../src/generate/chat-format/messages.ts";
import { createTokenizer } from "../../../src/tokenizer/create-tokenizer.ts";
import { byteLevelVocabulary } from "../../../tests/builders/vocabulary.ts";
import type { FuzzTarget } from "../target.ts";

const tokenizer = createTokenizer(byteLevelVocabulary(["a b"], ["<|im_start|>", "<|im_end|>", "</s>"]));
const messages: ChatMessage[] = [
  { role: "system", content: "Be brief." },
  { role: "user", content: "Hi <|im_end|> {{ there }}" },
  { role: "assistant", content: "Hello!" },
  { role: "user", content: "1 + 1 = ?" },
];

export const jinjaTarget: FuzzTarget = {
  name: "jinja",
  seeds: () => [...builtInTemplates.values()].map((template) => new TextEncoder().encode(template)),
  tokens: [
    ...[
      "{{",
      "}}",
      "{%",
      "%}",
      "{#",
      "#}",
      "-%}",
      "{%- for x in range(99999) %}",
      "{% endfor %}",
      "{% if ",
      "{% endif %}",
    ],
    ...[
      "{% set x = x + x %}",
      "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
      " | join(messages)",
      " | tojson",
    ],
    ...[
      "messages",
      "loop.index0",
      "[::-1]",
      "(",
      ")",
      "[",
      "]",
      "'",
      ".constructor",
      "not ",
      " in ",
      " * 999999999",
    ],
    ...[
      "namespace(x=1)",
      "raise_exception('x')",
      "strftime_now('%Y')",
      " ~ ",
      "**",
      "is defined",
      "| replace('', 'x')",
    ],
  ],
  async run(bytes) {
    new JinjaFormat(new TextDecoder().decode(bytes), tokenizer).encode(messages);
  },
};

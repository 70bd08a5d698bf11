/**
 * Finds the chat format of a model: its own template, or the one that the user names.
 *
 * Flow: model file, `--chat-template` → chatFormat → Llama2Format or JinjaFormat → model.ts.
 */
import { CriaError } from "../../shared/errors.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import { builtInTemplates } from "./built-in-templates.ts";
import type { ChatFormat } from "./chat-format.ts";
import { JinjaFormat } from "./jinja.ts";
import { Llama2Format } from "./llama2.ts";

const LLAMA2 = "llama2";

/**
 * The chat format of a template: Jinja source, or a name such as `chatml`. Llama 2's own template is replaced by code
 * that encodes turn by turn as Meta's does, which a template cannot say.
 *
 * @throws {CriaError} "not-found" without a template; "bad-template" for one that cannot be used; "unsupported" when the
 * vocabulary cannot hold Llama 2's format.
 */
export function chatFormat(template: string | undefined, tokenizer: Tokenizer): ChatFormat {
  const names = [LLAMA2, ...builtInTemplates.keys()];
  if (template === undefined || template.trim() === "")
    throw new CriaError(
      "not-found",
      `the model has no chat template; name one with --chat-template: ${names.join(", ")}, or Jinja source`,
    );
  if (template === LLAMA2 || (isLlama2Template(template) && fitsLlama2(tokenizer)))
    return new Llama2Format(tokenizer);
  const source = builtInTemplates.get(template);
  if (source === undefined && /^[\w.-]+$/.test(template))
    throw new CriaError(
      "bad-template",
      `there is no built-in chat template ${JSON.stringify(template)}; there are ${names.join(", ")}`,
    );
  return new JinjaFormat(source ?? template, tokenizer);
}

/** Others use [INST] too, but only Llama 2 puts the system message between <<SYS>> tags. */
function isLlama2Template(template: string): boolean {
  return template.includes("[INST]") && template.includes("<<SYS>>");
}

/** In a vocabulary where [INST] is a token of its own, the model was not trained with Llama 2's format. */
function fitsLlama2(tokenizer: Tokenizer): boolean {
  const { bos, eos } = tokenizer.special;
  return (
    tokenizer.kind === "sentencepiece" &&
    bos !== undefined &&
    eos !== undefined &&
    tokenizer.idOf("[INST]") === undefined
  );
}

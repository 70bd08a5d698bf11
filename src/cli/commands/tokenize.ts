/** `cria tokenize`: a text's tokens, and the text of tokens. Needs a model's tokenizer, not its weights. */
import type { Command } from "commander";
import { openCheckpoint, openTensorFile } from "../../model/checkpoint.ts";
import { readVocabulary } from "../../model/companions.ts";
import { nodeFiles } from "../../platform/node/file-system.ts";
import { resolveModel } from "../../platform/node/hub/resolve.ts";
import { defined } from "../../shared/defined.ts";
import { CriaError } from "../../shared/errors.ts";
import { createTokenizer } from "../../tokenizer/create-tokenizer.ts";
import { vocabularyFromGguf } from "../../tokenizer/from-gguf.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import { addInputOptions, type InputFlags, inputText } from "../input.ts";
import { addModelOptions, type ModelFlags, requireModel } from "../options.ts";
import { formatTable } from "../table.ts";
import { visible, writeJson, writeLine, writeOutput } from "../terminal.ts";

interface Flags extends ModelFlags, InputFlags {
  readonly ids?: boolean;
  readonly count?: boolean;
  readonly json?: boolean;
  readonly parseSpecial?: boolean;
  readonly bos: boolean;
  readonly decode?: boolean;
}

export function addTokenizeCommand(program: Command): void {
  const command = program.command("tokenize").description("show the tokens of a text, or the text of tokens");
  addInputOptions(command.optionsGroup("Text:"), "the text")
    .option("--parse-special", "read special tokens written in the text, such as <s>, as such")
    .option("--no-bos", "leave out the beginning-of-text and end-of-text tokens")
    .option("--decode", "the text is a list of ids: print what they spell");
  addModelOptions(command);
  command
    .optionsGroup("Output:")
    .option("--ids", "print the list of ids only")
    .option("--count", "print the number of tokens only")
    .option("--json", "print one JSON object")
    .action(async (flags: Flags) => {
      const input = await inputText(command, flags);
      const tokenizer = await openTokenizer(command, flags);
      if (flags.decode) printText(tokenizer, input, flags);
      else printTokens(tokenizer, input, flags);
    });
}

async function openTokenizer(command: Command, flags: Flags): Promise<Tokenizer> {
  if (flags.model === undefined && flags.tokenizer !== undefined)
    return createTokenizer(await readVocabulary(flags.tokenizer, nodeFiles));
  const path = await resolveModel(requireModel(command, flags.model), defined({ offline: flags.offline }));
  if (flags.tokenizer === undefined) {
    // A GGUF with a tokenizer needs neither weights nor an architecture that Cria runs.
    const { metadata, close } = await openTensorFile(path, nodeFiles);
    await close();
    if (metadata.has("tokenizer.ggml.model")) return createTokenizer(vocabularyFromGguf(metadata));
  }
  const { file, vocabulary } = await openCheckpoint(path, nodeFiles, flags.tokenizer);
  await file.close();
  if (!vocabulary)
    throw new CriaError(
      "not-found",
      `${file.name}: no tokenizer in the file or beside it; name one with --tokenizer`,
    );
  return createTokenizer(vocabulary);
}

function printTokens(tokenizer: Tokenizer, text: string, flags: Flags): void {
  const ids = tokenizer.encode(text, { addSpecial: flags.bos, parseSpecial: flags.parseSpecial === true });
  const pieces = (): string[] => ids.map((id) => tokenizer.pieceOf(id));
  if (flags.json) writeJson({ ids, pieces: pieces(), count: ids.length });
  else if (flags.count) writeLine(String(ids.length));
  else if (flags.ids) writeLine(`[${ids.join(", ")}]`);
  else if (ids.length > 0)
    writeLine(
      formatTable(
        ids.map((id) => [String(id), visible(tokenizer.pieceOf(id))]),
        [0],
      ),
    );
}

function printText(tokenizer: Tokenizer, input: string, flags: Flags): void {
  const ids = parseIds(input, tokenizer.vocabularySize);
  const text = tokenizer.decode(ids, { showSpecial: flags.parseSpecial === true });
  if (flags.json) writeJson({ text, ids });
  else writeOutput(process.stdout.isTTY ? `${text}\n` : text);
}

/** Reads `1, 2, 3`, `1 2 3` or a JSON list. */
function parseIds(input: string, vocabularySize: number): number[] {
  const words = input
    .replace(/^\s*\[|\]\s*$/g, "")
    .split(/[\s,]+/)
    .filter((word) => word !== "");
  return words.map((word) => {
    const id = /^\d+$/.test(word) ? Number(word) : Number.NaN;
    if (!(id < vocabularySize))
      throw new CriaError("bad-input", `"${word}" is no token id; expected 0 to ${vocabularySize - 1}`);
    return id;
  });
}

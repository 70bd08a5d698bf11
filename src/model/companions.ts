/**
 * What lies beside a model's weights: its tokenizer, its chat template and other settings.
 *
 * Hugging Face repositories hold tokenizer.json (or tokenizer.model and added_tokens.json), tokenizer_config.json and
 * chat_template.jinja; Meta's folders hold tokenizer.model; llama2.c's models come with tokenizer.bin, or tokN.bin for a
 * vocabulary of N.
 */
import type { FileSystem } from "../files/byte-source.ts";
import { openGguf } from "../files/gguf/read.ts";
import type { TensorFile } from "../files/stored-tensor.ts";
import { CriaError } from "../shared/errors.ts";
import { withAddedTokens } from "../tokenizer/added-tokens.ts";
import { vocabularyFromGguf } from "../tokenizer/from-gguf.ts";
import { vocabularyFromJson } from "../tokenizer/from-json.ts";
import { vocabularyFromLlama2c } from "../tokenizer/from-llama2c.ts";
import { vocabularyFromSentencePiece } from "../tokenizer/from-sentence-piece.ts";
import type { Vocabulary } from "../tokenizer/vocabulary.ts";
import type { ModelConfig } from "./config.ts";
import { Settings } from "./settings.ts";

/** Tokenizer files are a few megabytes; more is not one. */
const LARGEST_COMPANION = 256 << 20;

/** The tokenizer named, the file's own, or the one beside it; undefined when there is none. */
export async function findVocabulary(
  file: TensorFile,
  config: ModelConfig,
  files: FileSystem,
  tokenizerPath?: string,
): Promise<Vocabulary | undefined> {
  if (tokenizerPath !== undefined) return readVocabulary(tokenizerPath, files, config.vocabularySize);
  if (file.metadata.has("tokenizer.ggml.model")) return vocabularyFromGguf(file.metadata);
  const folder = files.folderOf(file.name);
  const candidates = [
    `tok${config.vocabularySize}.bin`,
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer.bin",
  ];
  for (const name of candidates) {
    const path = files.join(folder, name);
    if (await files.exists(path)) return readVocabulary(path, files, config.vocabularySize);
  }
  return undefined;
}

/** @throws {CriaError} code "bad-file" when the embedding has no row for some of the tokens. */
export function checkRowsFor(vocabulary: Vocabulary, config: ModelConfig): void {
  const { length } = vocabulary.pieces;
  if (length > config.vocabularySize)
    throw new CriaError(
      "bad-file",
      `the tokenizer has ${length} tokens, but the model ${config.vocabularySize}`,
    );
}

/**
 * Reads a tokenizer file of any kind, told by its name, with the settings beside it; also that of a .gguf.
 *
 * @param vocabularySize of the model; llama2.c's file does not say it.
 */
export async function readVocabulary(
  path: string,
  files: FileSystem,
  vocabularySize?: number,
): Promise<Vocabulary> {
  const beside = async (name: string): Promise<string | undefined> => {
    const neighbour = files.join(files.folderOf(path), name);
    return (await files.exists(neighbour)) ? readText(neighbour, files) : undefined;
  };
  if (path.endsWith(".json"))
    return vocabularyFromJson(await readText(path, files), await beside("tokenizer_config.json"));
  if (path.endsWith(".model")) {
    const vocabulary = vocabularyFromSentencePiece(await readBytes(path, files));
    const [config, added] = [await beside("tokenizer_config.json"), await beside("added_tokens.json")];
    if (config === undefined && added === undefined) return vocabulary;
    return withAddedTokens(vocabulary, { config, added }, vocabularySize);
  }
  if (path.endsWith(".bin") && vocabularySize !== undefined)
    return vocabularyFromLlama2c(await readBytes(path, files), vocabularySize);
  if (path.endsWith(".gguf")) {
    const file = await openGguf(await files.open(path), files);
    await file.close();
    return vocabularyFromGguf(file.metadata);
  }
  throw new CriaError(
    "unsupported",
    `${path}: expected tokenizer.json, a SentencePiece .model, a .gguf, or a model's llama2.c .bin`,
  );
}

/** The settings in a JSON file beside the model; undefined where there is no such file. */
export async function readJsonBeside(
  file: TensorFile,
  name: string,
  files: FileSystem,
): Promise<Settings | undefined> {
  const path = files.join(files.folderOf(file.name), name);
  if (!(await files.exists(path))) return undefined;
  const value = parseJson(await readText(path, files), path);
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new CriaError("bad-file", `${path}: expected an object of settings`);
  return new Settings(path, new Map(Object.entries(value)));
}

/** The Jinja text of the model's chat format; undefined when it has none. */
export async function findChatTemplate(file: TensorFile, files: FileSystem): Promise<string | undefined> {
  const stored = file.metadata.get("tokenizer.chat_template");
  if (typeof stored === "string") return stored;
  const folder = files.folderOf(file.name);
  const jinja = files.join(folder, "chat_template.jinja");
  if (await files.exists(jinja)) return readText(jinja, files);
  const settings = files.join(folder, "tokenizer_config.json");
  if (!(await files.exists(settings))) return undefined;
  return templateOf(parseJson(await readText(settings, files), settings));
}

/** `chat_template` is the text, or a list of named ones of which "default" is meant. */
function templateOf(settings: unknown): string | undefined {
  const template = (settings as { chat_template?: unknown } | null)?.chat_template;
  if (typeof template === "string") return template;
  if (!Array.isArray(template)) return undefined;
  const named = template as readonly { name?: unknown; template?: unknown }[];
  const text = named.find((entry) => entry?.name === "default")?.template;
  return typeof text === "string" ? text : undefined;
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new CriaError("bad-file", `${path}: not valid JSON`, { cause });
  }
}

async function readBytes(path: string, files: FileSystem): Promise<Uint8Array> {
  const source = await files.open(path);
  try {
    if (source.byteLength > LARGEST_COMPANION)
      throw new CriaError("bad-file", `${path}: ${source.byteLength} bytes are too many for a tokenizer`);
    return await source.read(0, source.byteLength);
  } finally {
    await source.close();
  }
}

async function readText(path: string, files: FileSystem): Promise<string> {
  return new TextDecoder().decode(await readBytes(path, files));
}

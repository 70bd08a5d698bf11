/**
 * What Hugging Face's files say beside a tokenizer.model: tokens that were added after it was made, which tokens begin
 * and end a text, and whether they are put there.
 *
 *   added_tokens.json       { name: id }
 *   tokenizer_config.json   added_tokens_decoder { id: { content, special } }, bos_token …, add_bos_token, add_eos_token
 *
 * Without them the names that mark a chat's turns would be ordinary text, and the end of a turn would not end it.
 *
 * Flow: from-sentence-piece.ts (Vocabulary) → withAddedTokens → createTokenizer.
 * Source: transformers' LlamaTokenizer.
 */
import { CriaError } from "../shared/errors.ts";
import { tokenName } from "./from-json.ts";
import { entriesOf, JsonPart } from "./json-part.ts";
import { withTurnEnd } from "./special-tokens.ts";
import { checkVocabulary, kindCodes, type Vocabulary } from "./vocabulary.ts";

const source = "tokenizer_config.json";
const addedSource = "added_tokens.json";

/** Added tokens that no piece stands before may leave gaps; wider ones are an error, not a table of millions. */
const widestGap = 1024;

/** The texts of the two files, where they are there. */
export interface AddedTokenFiles {
  readonly config?: string | undefined;
  readonly added?: string | undefined;
}

/**
 * The vocabulary with what the files say.
 *
 * @param rowCount of the model's embedding, where it is known: tokens beyond it have no row and are left out
 * @throws {CriaError} code "bad-file"
 */
export function withAddedTokens(
  vocabulary: Vocabulary,
  files: AddedTokenFiles,
  rowCount: number = Number.POSITIVE_INFINITY,
): Vocabulary {
  const config = files.config === undefined ? undefined : JsonPart.parse(files.config, source);
  const tokens = addedTokens(config, files.added);
  const pieces = [...vocabulary.pieces];
  const kinds = [...vocabulary.kinds];
  for (const [id, { name, isSpecial }] of [...tokens].sort(([a], [b]) => a - b)) {
    if (id >= rowCount) continue;
    if (id > pieces.length + widestGap)
      throw new CriaError(
        "bad-file",
        `${source}: expected added tokens to follow ${pieces.length} pieces, found id ${id}`,
      );
    for (let gap = pieces.length; gap < id; gap++) {
      pieces.push(`[PAD${gap}]`);
      kinds.push(kindCodes.unused);
    }
    // <unk>, <s> and </s> are listed here too, and stay what they are.
    const isOwn = pieces[id] === name && kinds[id] !== kindCodes.normal;
    pieces[id] = name;
    if (!isOwn) kinds[id] = isSpecial ? kindCodes.control : kindCodes.user;
  }
  const scores = new Float32Array(pieces.length);
  scores.set(vocabulary.scores);
  const idOf = (key: string): number | undefined => {
    const name = tokenName(config?.value[key]);
    const id = name === undefined ? -1 : pieces.indexOf(name);
    return id >= 0 ? id : undefined;
  };
  const named = { bos: idOf("bos_token"), eos: idOf("eos_token"), padding: idOf("pad_token") };
  const stated = Object.fromEntries(Object.entries(named).filter(([, id]) => id !== undefined));
  const changed: Vocabulary = {
    ...vocabulary,
    pieces,
    scores,
    kinds: Uint8Array.from(kinds),
    special: { ...vocabulary.special, ...stated },
    addBos: config?.optionalBoolean("add_bos_token") ?? vocabulary.addBos,
    addEos: config?.optionalBoolean("add_eos_token") ?? vocabulary.addEos,
  };
  return withTurnEnd(checkVocabulary(changed, source));
}

interface AddedToken {
  readonly name: string;
  readonly isSpecial: boolean;
}

/** By id. Old repositories have only added_tokens.json, which does not say what is special. */
function addedTokens(
  config: JsonPart | undefined,
  addedText: string | undefined,
): ReadonlyMap<number, AddedToken> {
  const tokens = new Map<number, AddedToken>();
  if (addedText !== undefined) {
    const added = JsonPart.parse(addedText, addedSource);
    for (const [name, id] of entriesOf(added.value)) {
      if (!isId(id))
        throw added.bad(`expected the id of ${JSON.stringify(name)}, found ${JSON.stringify(id)}`);
      tokens.set(id, { name, isSpecial: /^<\|.*\|>$/s.test(name) });
    }
  }
  if (!config || config.value.added_tokens_decoder === undefined) return tokens;
  const decoder = config.part("added_tokens_decoder");
  for (const key of Object.keys(decoder.value)) {
    const id = Number(key);
    if (!isId(id)) throw decoder.bad(`expected ids, found ${JSON.stringify(key)}`);
    const token = decoder.part(key);
    tokens.set(id, {
      name: token.string("content"),
      isSpecial: token.optionalBoolean("special") ?? false,
    });
  }
  return tokens;
}

function isId(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) >= 0;
}

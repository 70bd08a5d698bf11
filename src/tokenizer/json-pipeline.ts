/**
 * The steps of a tokenizer.json before its model: a normaliser that changes the text, and a pre-tokenizer that cuts it.
 *
 * Flow: from-json.ts → readPipeline → the flags of a Vocabulary.
 * Source: the tokenizers library's serialised form.
 */
import type { JsonPart } from "./json-part.ts";
import { gpt2Pattern, tekkenPatterns } from "./split-patterns.ts";

export interface Pipeline {
  readonly isByteLevel: boolean;
  readonly addSpacePrefix: boolean;
  readonly prefixesOnlyStart?: boolean;
  readonly prefixesOnlyWords?: boolean;
  /** Every ▁ begins a word, so no merge crosses one. */
  readonly splitsAtSpaces: boolean;
  readonly preTokenizer: string;
  readonly patterns: readonly string[];
}

const spaceMark = "\u2581";
const contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const afterNumbers = "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const word = "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|";

/** The rules that have a name and a scanner, by their list of patterns. */
const namedRules: readonly (readonly [string, readonly string[]])[] = [
  ["gpt-2", [gpt2Pattern]],
  ["smollm", ["\\p{N}", gpt2Pattern]],
  ["llama-bpe", [`${contractions}${word}\\p{N}{1,3}${afterNumbers}`]],
  ["qwen2", [`${contractions}${word}\\p{N}${afterNumbers}`]],
  ["tekken", tekkenPatterns],
];

/** The patterns of a rule that has a name; undefined for another. */
export function patternsOfRule(name: string): readonly string[] | undefined {
  return namedRules.find(([rule]) => rule === name)?.[1];
}

/**
 * Reads what happens to a text before merging.
 *
 * @throws {CriaError} code "unsupported" for a step that is not known.
 */
export function readPipeline(root: JsonPart): Pipeline {
  const steps = stepsOf(root, "pre_tokenizer", "pretokenizers");
  const changes = stepsOf(root, "normalizer", "normalizers");
  return steps.some((step) => step.optionalString("type") === "ByteLevel")
    ? byteLevelPipeline(steps, changes)
    : sentencePiecePipeline(root, steps, changes);
}

function byteLevelPipeline(steps: readonly JsonPart[], changes: readonly JsonPart[]): Pipeline {
  for (const change of changes) throw change.unsupported(`expected no normalizer, found ${typeOf(change)}`);
  const patterns: string[] = [];
  for (const step of steps) {
    const type = typeOf(step);
    if (type === "ByteLevel") {
      if (step.optionalBoolean("add_prefix_space"))
        throw step.unsupported("expected add_prefix_space to be off");
      if (step.optionalBoolean("use_regex") ?? true) patterns.push(gpt2Pattern);
    } else if (type === "Digits") {
      patterns.push(step.optionalBoolean("individual_digits") ? "\\p{N}" : "\\p{N}+");
    } else if (type === "Split") {
      patterns.push(splitPattern(step));
    } else throw step.unsupported(`expected Split, Digits or ByteLevel, found ${type}`);
  }
  const isRule = ([, rule]: readonly [string, readonly string[]]) => rule.join("\n") === patterns.join("\n");
  const named = namedRules.find(isRule)?.[0];
  return {
    isByteLevel: true,
    addSpacePrefix: false,
    splitsAtSpaces: false,
    preTokenizer: named ?? "patterns",
    patterns: named ? [] : patterns,
  };
}

function splitPattern(step: JsonPart): string {
  const pattern = step.part("pattern");
  const behavior = step.optionalString("behavior") ?? "Isolated";
  // "Removed" with `invert` keeps the matches, which for a pattern that covers every text is the same.
  const isKept =
    behavior === "Isolated" || (behavior === "Removed" && step.optionalBoolean("invert") === true);
  if (!isKept) throw step.unsupported(`expected the behavior Isolated, found ${behavior}`);
  const text = pattern.optionalString("String");
  return text === undefined ? pattern.string("Regex") : text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}

function sentencePiecePipeline(
  root: JsonPart,
  steps: readonly JsonPart[],
  changes: readonly JsonPart[],
): Pipeline {
  let addSpacePrefix = false;
  let prefixesOnlyStart = false;
  let prefixesOnlyWords = false;
  let marksSpaces = false;
  let splitsAtSpaces = false;
  for (const change of changes) {
    const type = typeOf(change);
    if (type === "Prepend" && change.optionalString("prepend") === spaceMark) addSpacePrefix = true;
    else if (
      type === "Replace" &&
      change.optionalString("content") === spaceMark &&
      change.part("pattern").value.String === " "
    )
      marksSpaces = true;
    else throw change.unsupported(`expected ${spaceMark} to be prepended or put for spaces, found ${type}`);
  }
  for (const step of steps) {
    if (typeOf(step) !== "Metaspace" || (step.optionalString("replacement") ?? spaceMark) !== spaceMark)
      throw step.unsupported(`expected ByteLevel, or Metaspace with ${spaceMark}, found ${typeOf(step)}`);
    marksSpaces = true;
    splitsAtSpaces ||= step.optionalBoolean("split") ?? true;
    const scheme =
      step.optionalString("prepend_scheme") ??
      (step.optionalBoolean("add_prefix_space") === false ? "never" : "always");
    if (addSpacePrefix || scheme === "never") continue;
    // Other than the normalizer that prepends, this step looks at what the text begins with, and where it is.
    addSpacePrefix = true;
    prefixesOnlyWords = true;
    prefixesOnlyStart = scheme === "first";
  }
  if (!marksSpaces)
    throw root.unsupported(`expected a ByteLevel pre-tokenizer, or spaces written as ${spaceMark}`);
  return {
    isByteLevel: false,
    addSpacePrefix,
    ...(prefixesOnlyStart ? { prefixesOnlyStart } : {}),
    ...(prefixesOnlyWords ? { prefixesOnlyWords } : {}),
    splitsAtSpaces,
    preTokenizer: "",
    patterns: [],
  };
}

/** A step, or the steps of a sequence of them. */
function stepsOf(root: JsonPart, key: string, sequenceKey: string): JsonPart[] {
  const value = root.value[key] ?? null;
  if (value === null) return [];
  const step = root.part(key);
  return step.optionalString("type") === "Sequence" ? step.list(sequenceKey) : [step];
}

function typeOf(step: JsonPart): string {
  return step.optionalString("type") ?? "a step without a type";
}

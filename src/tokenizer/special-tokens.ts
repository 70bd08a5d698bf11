/**
 * Tokens that are written as text but are no text: finds them in a prompt, and finds those that end an answer.
 *
 * Flow: create-tokenizer.ts (prompt) → specialFinder → plain parts and ids; loaders → withTurnEnd → Vocabulary.
 * Source: llama.cpp's order of search, so that the same prompt gives the same ids.
 */
import { kindCodes, type Vocabulary } from "./vocabulary.ts";

/** Names of tokens that end a chat turn, the most specific first. */
const turnEnds: readonly string[] = [
  "<|eot_id|>",
  "<|im_end|>",
  "<|end|>",
  "<end_of_turn>",
  "<end_of_utterance>",
  "<EOT>",
  "_<EOT>",
];
/** Names of tokens that end an answer otherwise: a whole text, or a message that continues after a tool call. */
const textEnds: readonly string[] = ["<|endoftext|>", "<|end_of_text|>", "<|eom_id|>"];

/**
 * Returns the vocabulary with its end-of-turn id, found by name where the file has none. Tokens named like an end are
 * made control tokens, because some files store them as ordinary ones.
 */
export function withTurnEnd(vocabulary: Vocabulary): Vocabulary {
  const kinds = vocabulary.kinds.slice();
  for (const id of endsByName(vocabulary)) kinds[id] = kindCodes.control;
  const { eot: stored, ...special } = vocabulary.special;
  const found = stored ?? turnEnds.map((name) => vocabulary.pieces.indexOf(name)).find((id) => id >= 0);
  const isOwn = found !== undefined && found !== special.eos;
  return { ...vocabulary, kinds, special: isOwn ? { ...special, eot: found } : special };
}

/** Ids that end an answer. */
export function endIdsOf(vocabulary: Vocabulary): ReadonlySet<number> {
  const { eos, eot } = vocabulary.special;
  const ids = [eos, eot].filter((id) => id !== undefined);
  return new Set([...ids, ...endsByName(vocabulary)]);
}

function endsByName(vocabulary: Vocabulary): number[] {
  return [...turnEnds, ...textEnds].map((name) => vocabulary.pieces.indexOf(name)).filter((id) => id >= 0);
}

/** A special token in a text, in UTF-16 units. */
export interface SpecialMatch {
  readonly id: number;
  readonly start: number;
  readonly end: number;
}

interface TrieNode {
  readonly next: Map<number, TrieNode>;
  id: number;
}

/**
 * Returns a function that finds the tokens of the given kinds in a text. A longer name takes its places before a
 * shorter one may, wherever they are; places of one name are taken from left to right.
 */
export function specialFinder(
  vocabulary: Vocabulary,
  kinds: readonly number[],
): (text: string) => SpecialMatch[] {
  const { pieces } = vocabulary;
  const root: TrieNode = { next: new Map(), id: -1 };
  for (const [id, piece] of pieces.entries()) {
    if (!kinds.includes(vocabulary.kinds[id]!) || piece === "") continue;
    const node = trieNode(root, piece);
    if (node.id < 0) node.id = id;
  }
  if (root.next.size === 0) return () => [];
  return (text) => {
    const candidates: SpecialMatch[] = [];
    for (let start = 0; start < text.length; start++) {
      let node = root.next.get(text.charCodeAt(start));
      for (let end = start + 1; node; end++) {
        if (node.id >= 0) candidates.push({ id: node.id, start, end });
        node = end < text.length ? node.next.get(text.charCodeAt(end)) : undefined;
      }
    }
    return candidates.length === 0 ? candidates : takeLongestFirst(candidates, text.length);
  };
}

function trieNode(root: TrieNode, piece: string): TrieNode {
  let node = root;
  for (let i = 0; i < piece.length; i++) {
    const unit = piece.charCodeAt(i);
    let next = node.next.get(unit);
    if (!next) {
      next = { next: new Map(), id: -1 };
      node.next.set(unit, next);
    }
    node = next;
  }
  return node;
}

function takeLongestFirst(candidates: SpecialMatch[], textLength: number): SpecialMatch[] {
  const taken = new Uint8Array(textLength);
  const length = ({ start, end }: SpecialMatch) => end - start;
  candidates.sort((a, b) => length(b) - length(a) || a.id - b.id || a.start - b.start);
  const matches = candidates.filter(({ start, end }) => {
    if (taken.subarray(start, end).includes(1)) return false;
    taken.fill(1, start, end);
    return true;
  });
  return matches.sort((a, b) => a.start - b.start);
}

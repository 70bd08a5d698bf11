/**
 * The texts of a vocabulary's tokens as a prefix tree, laid out in the order of a depth-first walk.
 *
 *   node n: a byte, its depth (1 for a first byte), its parent, and `skip`, the first node after its subtree
 *   tokens tokens[tokenStart[n]] … tokens[tokenStart[n + 1] − 1] end at node n
 *
 * Control, unknown and unused tokens are not in it, nor those without text.
 */
import type { Tokenizer } from "../tokenizer/tokenizer.ts";

export interface TokenTrie {
  readonly nodeCount: number;
  readonly bytes: Uint8Array;
  readonly depths: Uint16Array;
  readonly parents: Int32Array;
  readonly skip: Int32Array;
  readonly tokens: Int32Array;
  readonly tokenStart: Int32Array;
  /** Bytes of the longest token. */
  readonly longest: number;
}

/** The bytes that each token adds to a text; undefined for those that a constraint never allows. */
export type TokenBytes = readonly (Uint8Array | undefined)[];

export interface TokenTexts {
  /** Inside a text. */
  readonly inside: TokenBytes;
  /** As an answer's first token, where a leading space is dropped; `inside` itself where none is. */
  readonly first: TokenBytes;
  readonly insideTrie: TokenTrie;
  readonly firstTrie: TokenTrie;
}

const made = new WeakMap<Tokenizer, TokenTexts>();

/** The texts of a tokenizer's tokens; made once. */
export function tokenTexts(tokenizer: Tokenizer): TokenTexts {
  let texts = made.get(tokenizer);
  if (!texts) {
    texts = makeTexts(tokenizer);
    made.set(tokenizer, texts);
  }
  return texts;
}

function makeTexts(tokenizer: Tokenizer): TokenTexts {
  const inside: (Uint8Array | undefined)[] = [];
  for (let id = 0; id < tokenizer.vocabularySize; id++) {
    const kind = tokenizer.kindOf(id);
    const isText = kind === "normal" || kind === "byte" || kind === "user";
    const bytes = isText && !tokenizer.endIds.has(id) ? tokenizer.bytesOf(id) : undefined;
    inside.push(bytes && bytes.length > 0 ? bytes : undefined);
  }
  const insideTrie = buildTrie(inside);
  const spaced = (id: number) => inside[id]?.[0] === 0x20 && tokenizer.kindOf(id) !== "byte";
  const sample = inside.findIndex((_, id) => spaced(id));
  const drops =
    sample >= 0 && tokenizer.decode([sample]).length < tokenizer.decode([sample], { continues: true }).length;
  if (!drops) return { inside, first: inside, insideTrie, firstTrie: insideTrie };
  const first = inside.map((bytes, id) => {
    if (!bytes || !spaced(id)) return bytes;
    return bytes.length > 1 ? bytes.subarray(1) : undefined;
  });
  return { inside, first, insideTrie, firstTrie: buildTrie(first) };
}

function buildTrie(texts: TokenBytes): TokenTrie {
  const ids: number[] = [];
  for (const [id, bytes] of texts.entries()) if (bytes) ids.push(id);
  ids.sort((a, b) => compareBytes(texts[a]!, texts[b]!) || a - b);
  let nodeLimit = 0;
  let longest = 0;
  for (const id of ids) {
    nodeLimit += texts[id]!.length;
    longest = Math.max(longest, texts[id]!.length);
  }
  const bytes = new Uint8Array(nodeLimit);
  const depths = new Uint16Array(nodeLimit);
  const parents = new Int32Array(nodeLimit);
  const skip = new Int32Array(nodeLimit);
  const tokenStart = new Int32Array(nodeLimit + 1);
  /** The node at each depth of the current path. */
  const path: number[] = [];
  let nodeCount = 0;
  for (const [index, id] of ids.entries()) {
    const text = texts[id]!;
    let shared = 0;
    while (shared < path.length && shared < text.length && bytes[path[shared]] === text[shared]) shared++;
    while (path.length > shared) skip[path.pop()!] = nodeCount;
    for (let i = shared; i < text.length; i++) {
      bytes[nodeCount] = text[i];
      depths[nodeCount] = i + 1;
      parents[nodeCount] = path.at(-1) ?? -1;
      tokenStart[nodeCount] = index;
      path.push(nodeCount++);
    }
  }
  while (path.length > 0) skip[path.pop()!] = nodeCount;
  tokenStart[nodeCount] = ids.length;
  return {
    nodeCount,
    bytes: bytes.slice(0, nodeCount),
    depths: depths.slice(0, nodeCount),
    parents: parents.slice(0, nodeCount),
    skip: skip.slice(0, nodeCount),
    tokens: Int32Array.from(ids),
    tokenStart: tokenStart.slice(0, nodeCount + 1),
    longest,
  };
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return a[i] - b[i];
  return a.length - b.length;
}

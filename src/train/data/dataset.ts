/**
 * Batches out of token caches: sources mixed by weight, documents shuffled anew in every epoch, packed into windows.
 *
 * Which documents are held out follows from a hash of their tokens, so that a text that occurs twice is never learned and
 * held out at once. Batch n depends on the seed and n alone.
 *
 * Flow: token-cache.ts → Dataset → train/run.ts (Batch by Batch).
 */
import { CriaError } from "../../shared/errors.ts";
import type { Batch } from "./batch.ts";
import { Packer, type Piece } from "./packing.ts";
import { permuted } from "./permutation.ts";
import type { TokenCache } from "./token-cache.ts";

export interface DatasetSource {
  readonly cache: TokenCache;
  /** Share of the tokens relative to the other sources. */
  readonly weight: number;
}

export interface DatasetOptions {
  readonly seed: number;
  /** Share of the documents that is held out, from 0 to 1. */
  readonly validation: number;
  /** Windows of a batch; even for preferences. */
  readonly rows: number;
  /** Tokens of a window. */
  readonly length: number;
}

export interface Dataset {
  /** Documents that are learned from, and tokens in them. */
  readonly documents: number;
  readonly tokens: number;
  readonly heldOut: number;
  /** Preferences that were left out because they are longer than a window. */
  readonly tooLong: number;
  /** Characters a learned token stands for in the held-out part, where there is one. */
  readonly charactersPerToken: number | undefined;
  /** Batches from number `start` on, without end. */
  batches(start: number): AsyncGenerator<Batch>;
  /** The held-out part once, in batches; the last is filled with windows that do not count. */
  validation(windows: number): AsyncGenerator<Batch>;
  close(): Promise<void>;
}

/** A document of a source. */
interface Entry {
  readonly source: number;
  readonly document: number;
}

/** @throws {CriaError} "bad-input" when nothing is left to learn from, or sources of different kinds are mixed. */
export function createDataset(sources: readonly DatasetSource[], options: DatasetOptions): Dataset {
  const pairs = sources[0]?.cache.pairs ?? false;
  if (sources.some(({ cache }) => cache.pairs !== pairs))
    throw new CriaError("bad-input", "preferences cannot be mixed with other data");
  if (pairs && options.rows % 2 !== 0)
    throw new CriaError(
      "bad-input",
      `batch: ${options.rows} windows; preferences take two each, so an even number`,
    );
  const split = splitOf(sources, options, pairs);
  const own = split.learned.flat();
  if (own.length === 0)
    throw new CriaError(
      "bad-input",
      "nothing to learn from: no document is short enough, or all are held out",
    );
  const heldOut = split.heldOut.flat();
  const tokens = own.reduce(
    (sum, { source, document }) => sum + sizeOf(sources[source].cache, document, pairs),
    0,
  );
  const windows = (next: () => Entry) =>
    pairs ? pairWindows(sources, next) : packedWindows(sources, options, next);
  return {
    documents: own.length,
    tokens,
    heldOut: heldOut.length,
    tooLong: split.tooLong,
    charactersPerToken: pairs ? undefined : charactersPerToken(sources, heldOut),
    async *batches(start) {
      const take = windows(mixed(sources, split.learned, options.seed, pairs));
      for (let skipped = 0; skipped < start * options.rows; skipped++) take();
      for (;;) yield await batchOf(sources, options, Array.from({ length: options.rows }, take));
    },
    async *validation(limit) {
      let at = 0;
      const list = windows(() => heldOut[at++] ?? { source: 0, document: -1 });
      for (let done = 0; done < limit && at < heldOut.length; done += options.rows) {
        const rows = Array.from({ length: options.rows }, () => (at < heldOut.length ? list() : []));
        yield await batchOf(sources, options, rows);
      }
    },
    async close() {
      for (const { cache } of sources) await cache.close();
    },
  };
}

function splitOf(sources: readonly DatasetSource[], { validation, length }: DatasetOptions, pairs: boolean) {
  const learned: Entry[][] = [];
  const heldOut: Entry[][] = [];
  let tooLong = 0;
  sources.forEach(({ cache }, source) => {
    const [own, other]: [Entry[], Entry[]] = [[], []];
    for (let document = 0; document < cache.documentCount; document += pairs ? 2 : 1) {
      const longest = Math.max(cache.tokensOf(document), pairs ? cache.tokensOf(document + 1) : 0);
      if (pairs && longest - 1 > length) {
        tooLong++;
        continue;
      }
      const share = cache.hashOf(document) / 2 ** 32;
      (share < validation ? other : own).push({ source, document });
    }
    learned.push(own);
    heldOut.push(other);
  });
  return { learned, heldOut, tooLong };
}

/** An endless order: the source that is most behind its weight, its documents shuffled in every epoch. */
function mixed(
  sources: readonly DatasetSource[],
  learned: readonly (readonly Entry[])[],
  seed: number,
  pairs: boolean,
): () => Entry {
  const served = sources.map(() => 0);
  const taken = sources.map(() => 0);
  return () => {
    let best = -1;
    for (let source = 0; source < sources.length; source++) {
      if (learned[source].length === 0) continue;
      if (best < 0 || served[source] / sources[source].weight < served[best] / sources[best].weight)
        best = source;
    }
    const list = learned[best];
    const epoch = Math.floor(taken[best] / list.length);
    const place = permuted(taken[best] % list.length, list.length, seed * 7919 + epoch * 104729 + best);
    taken[best]++;
    served[best] += sizeOf(sources[best].cache, list[place].document, pairs);
    return list[place];
  };
}

function sizeOf(cache: TokenCache, document: number, pairs: boolean): number {
  return cache.tokensOf(document) + (pairs ? cache.tokensOf(document + 1) : 0);
}

/** A text cut short by the end of the held-out part has no document: it ends the packing. */
function packedWindows(
  sources: readonly DatasetSource[],
  { length }: DatasetOptions,
  next: () => Entry,
): () => Piece[] {
  const packer = new Packer(length, () => {
    const { source, document } = next();
    return { source, document, tokens: document < 0 ? 1 + length : sources[source].cache.tokensOf(document) };
  });
  return () => packer.window().filter(({ document }) => document >= 0);
}

/** Window 2i holds the chosen answer of a pair, window 2i + 1 the rejected one. */
function pairWindows(sources: readonly DatasetSource[], next: () => Entry): () => Piece[] {
  let second: Piece[] | undefined;
  const whole = (source: number, document: number): Piece[] => [
    { source, document, first: 0, count: sources[source].cache.tokensOf(document) - 1 },
  ];
  return () => {
    if (second) {
      const piece = second;
      second = undefined;
      return piece;
    }
    const { source, document } = next();
    if (document < 0) return [];
    second = whole(source, document + 1);
    return whole(source, document);
  };
}

async function batchOf(
  sources: readonly DatasetSource[],
  { rows, length }: DatasetOptions,
  windows: readonly (readonly Piece[])[],
): Promise<Batch> {
  const size = rows * length;
  const batch = {
    rows,
    length,
    tokens: new Int32Array(size),
    targets: new Int32Array(size),
    positions: new Int32Array(size),
    // A row without a text sees itself.
    starts: Int32Array.from({ length: size }, (_, t) => t),
    weights: new Float32Array(size),
  };
  for (const [window, pieces] of windows.entries()) {
    let t = window * length;
    for (const { source, document, first, count } of pieces) {
      const { ids, learned } = await sources[source].cache.read(document);
      const start = t;
      for (let i = first; i < first + count; i++, t++) {
        batch.tokens[t] = ids[i];
        batch.targets[t] = ids[i + 1];
        batch.positions[t] = t - start;
        batch.starts[t] = start;
        batch.weights[t] = learned[i + 1];
      }
    }
  }
  return batch;
}

function charactersPerToken(
  sources: readonly DatasetSource[],
  entries: readonly Entry[],
): number | undefined {
  // Of plain texts every token but the first is learned; of conversations the cache counts the answers' characters only.
  const texts = entries.filter(({ source, document }) => sources[source].cache.charactersOf(document) > 0);
  if (texts.length === 0) return undefined;
  let characters = 0;
  let tokens = 0;
  for (const { source, document } of texts) {
    characters += sources[source].cache.charactersOf(document);
    tokens += sources[source].cache.tokensOf(document) - 1;
  }
  return characters / tokens;
}

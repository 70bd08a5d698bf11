/**
 * Batches out of token caches: sources mixed by weight, documents shuffled anew in every epoch, packed into windows.
 *
 * Which documents are held out follows from a hash of their tokens, so that a text that occurs twice is never learned and
 * held out at once. Batch n depends on the seed and n alone.
 *
 * Flow: cache-file.ts → Dataset → train/run.ts (Batch by Batch).
 */
import { CriaError } from "../../shared/errors.ts";
import type { Batch } from "./batch.ts";
import type { TokenCache } from "./cache-file.ts";
import { Packer, type Piece } from "./packing.ts";
import { permuted } from "./permutation.ts";

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
  /**
   * What becomes of documents that are longer than a window: `cut` into pieces (default), left out, or an error.
   * Preferences are never cut, since their answers would not be comparable: they are left out.
   */
  readonly long?: "cut" | "skip" | "refuse" | undefined;
}

export interface Dataset {
  /** Documents that are learned from, and tokens in them. */
  readonly documents: number;
  readonly tokens: number;
  readonly heldOut: number;
  /** Documents and preferences that were left out because they are longer than a window. */
  readonly tooLong: number;
  /** Documents that are cut because they are longer than a window. */
  readonly cut: number;
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
  const { heldOut } = split;
  const documents = split.learned.reduce((sum, list) => sum + list.length, 0);
  if (documents === 0)
    throw new CriaError(
      "bad-input",
      "nothing to learn from: no document is short enough, or all are held out",
    );
  let tokens = 0;
  for (const [source, { cache }] of sources.entries())
    for (const document of split.learned[source]) tokens += sizeOf(cache, document, pairs);
  const windows = (next: () => Entry | undefined) =>
    pairs ? pairWindows(sources, next) : packedWindows(sources, options, next);
  return {
    documents,
    tokens,
    heldOut: heldOut.length,
    tooLong: split.tooLong,
    cut: split.cut,
    charactersPerToken: pairs ? undefined : charactersPerToken(sources, heldOut),
    async *batches(start) {
      const take = windows(mixed(sources, split.learned, options.seed, pairs));
      for (let skipped = 0; skipped < start * options.rows; skipped++) take();
      for (;;) yield await batchOf(sources, options, Array.from({ length: options.rows }, take));
    },
    async *validation(limit) {
      let at = 0;
      // Shuffled always alike: a part of the held-out documents shall tell of all sources.
      const take = windows(() =>
        at < heldOut.length ? heldOut[permuted(at++, heldOut.length, 0)] : undefined,
      );
      for (let done = 0; done < limit; done += options.rows) {
        const rows = Array.from({ length: options.rows }, take);
        if (rows.every((pieces) => pieces.length === 0)) return;
        yield await batchOf(sources, options, rows);
      }
    },
    async close() {
      for (const { cache } of sources) await cache.close();
    },
  };
}

function splitOf(
  sources: readonly DatasetSource[],
  { validation, length, long = "cut" }: DatasetOptions,
  pairs: boolean,
) {
  const learned: Uint32Array[] = [];
  const heldOut: Entry[] = [];
  let tooLong = 0;
  let cut = 0;
  sources.forEach(({ cache }, source) => {
    // Numbers and not objects: a data set may have millions of documents.
    const own = new Uint32Array(cache.documentCount);
    let count = 0;
    for (let document = 0; document < cache.documentCount; document += pairs ? 2 : 1) {
      const longest = Math.max(cache.tokensOf(document), pairs ? cache.tokensOf(document + 1) : 0);
      if (longest - 1 > length) {
        if (long === "refuse")
          throw new CriaError(
            "bad-input",
            `document ${document + 1} of data source ${source + 1} has ${longest} tokens, but a window holds ${length + 1}`,
          );
        if (pairs || long === "skip") {
          tooLong++;
          continue;
        }
        cut++;
      }
      if (cache.hashOf(document) / 2 ** 32 < validation) heldOut.push({ source, document });
      else own[count++] = document;
    }
    learned.push(own.slice(0, count));
  });
  return { learned, heldOut, tooLong, cut };
}

/** An endless order: the source that is most behind its weight, its documents shuffled in every epoch. */
function mixed(
  sources: readonly DatasetSource[],
  learned: readonly Uint32Array[],
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
    served[best] += sizeOf(sources[best].cache, list[place], pairs);
    return { source: best, document: list[place] };
  };
}

function sizeOf(cache: TokenCache, document: number, pairs: boolean): number {
  return cache.tokensOf(document) + (pairs ? cache.tokensOf(document + 1) : 0);
}

/** Windows without a piece follow the last document. */
function packedWindows(
  sources: readonly DatasetSource[],
  { length }: DatasetOptions,
  next: () => Entry | undefined,
): () => Piece[] {
  const packer = new Packer(length, () => {
    const entry = next();
    if (!entry) return undefined;
    const { cache } = sources[entry.source];
    const [tokens, firstLearned] = [cache.tokensOf(entry.document), cache.firstLearnedOf(entry.document)];
    return { ...entry, tokens, firstLearned };
  });
  return () => packer.window();
}

/** Window 2i holds the chosen answer of a pair, window 2i + 1 the rejected one. */
function pairWindows(sources: readonly DatasetSource[], next: () => Entry | undefined): () => Piece[] {
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
    const entry = next();
    if (!entry) return [];
    const { source, document } = entry;
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
      const { ids, learned } = await sources[source].cache.read(document, first, count + 1);
      const start = t;
      for (let i = 0; i < count; i++, t++) {
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
  let characters = 0;
  let tokens = 0;
  for (const { source, document } of entries) {
    characters += sources[source].cache.charactersOf(document);
    tokens += sources[source].cache.learnedOf(document);
  }
  return tokens > 0 && characters > 0 ? characters / tokens : undefined;
}

/**
 * Joins the shards of a model-parallel checkpoint, as views: each shard holds a slice of every matrix.
 *
 *   rows lie below each other (axis 0)      wq, wk, wv, w1, w3, output
 *   columns lie side by side (axis 1)       wo, w2, and Llama 1's and 2's tok_embeddings
 *   the same in every shard                 norms
 *
 * Llama 3 cut tok_embeddings by vocabulary, axis 0: the width of the pieces tells which.
 *
 * Flow: pth.ts (tensors of each shard) → mergeShards → open.ts.
 * Source: fairscale's ColumnParallelLinear, RowParallelLinear and ParallelEmbedding as Meta's model.py uses them.
 */
import { CriaError } from "../../shared/errors.ts";
import { rowBytes } from "../../tensor/format.ts";
import { checkRows } from "../check-rows.ts";
import type { StoredTensor } from "../stored-tensor.ts";

type Shard = ReadonlyMap<string, StoredTensor>;
type Axis = "rows" | "columns" | "replicated";

const AXES: readonly (readonly [RegExp, Axis])[] = [
  [/\.attention\.w[qkv]\.weight$/, "rows"],
  [/\.feed_forward\.w[13]\.weight$/, "rows"],
  [/^output\.weight$/, "rows"],
  [/\.attention\.wo\.weight$/, "columns"],
  [/\.feed_forward\.w2\.weight$/, "columns"],
  [/norm\.weight$/, "replicated"],
];

/**
 * The whole tensors of a model. `width` is the model's dim.
 *
 * @throws {CriaError} "not-found" when a shard lacks a tensor, "bad-file" when pieces do not fit, "unsupported" for a
 * tensor of which the cut is not known.
 */
export function mergeShards(
  shards: readonly Shard[],
  width: number,
  name: string,
): ReadonlyMap<string, StoredTensor> {
  const first = shards[0] as Shard;
  if (shards.length === 1) return first;
  const merged = new Map<string, StoredTensor>();
  for (const [index, shard] of shards.entries())
    for (const tensorName of shard.keys())
      if (!first.has(tensorName))
        throw new CriaError("not-found", `${name}: shard ${index} has ${tensorName}, but shard 0 has not`);
  for (const tensorName of first.keys()) {
    const pieces = shards.map((shard, index) => {
      const piece = shard.get(tensorName);
      if (!piece)
        throw new CriaError("not-found", `${name}: shard 0 has ${tensorName}, but shard ${index} has not`);
      return piece;
    });
    merged.set(tensorName, join(pieces, width, name));
  }
  return merged;
}

function join(pieces: readonly StoredTensor[], width: number, name: string): StoredTensor {
  const first = pieces[0] as StoredTensor;
  const axis = axisOf(first, pieces.length, width, name);
  for (const [index, piece] of pieces.entries()) {
    const fits =
      piece.format === first.format &&
      (axis === "rows" || piece.rows === first.rows) &&
      (axis === "columns" || piece.columns === first.columns);
    if (!fits)
      throw new CriaError(
        "bad-file",
        `${name}: ${first.name} is ${describe(first)} in shard 0, but ${describe(piece)} in shard ${index}`,
      );
  }
  if (axis === "replicated") return first;
  return axis === "rows" ? joinRows(pieces) : joinColumns(pieces);
}

function axisOf(piece: StoredTensor, shardCount: number, width: number, name: string): Axis {
  if (piece.name === "tok_embeddings.weight") return embeddingAxis(piece, shardCount, width, name);
  const rule = AXES.find(([pattern]) => pattern.test(piece.name));
  if (!rule)
    throw new CriaError(
      "unsupported",
      `${name}: ${piece.name} is in ${shardCount} shards, but no rule tells its cut`,
    );
  return rule[1];
}

function embeddingAxis(piece: StoredTensor, shardCount: number, width: number, name: string): Axis {
  if (piece.columns === width) return "rows";
  if (piece.columns * shardCount === width) return "columns";
  throw new CriaError(
    "bad-file",
    `${name}: ${piece.name} has ${piece.columns} columns in each of ${shardCount} shards, which do not make dim ${width}`,
  );
}

function joinRows(pieces: readonly StoredTensor[]): StoredTensor {
  const { name, format, columns } = pieces[0] as StoredTensor;
  const rows = pieces.reduce((sum, piece) => sum + piece.rows, 0);
  return {
    name,
    format,
    rows,
    columns,
    async readRows(rowFirst, rowCount) {
      checkRows({ name, rows }, rowFirst, rowCount);
      const bytesPerRow = rowBytes(format, columns);
      const bytes = new Uint8Array(rowCount * bytesPerRow);
      let pieceFirst = 0;
      for (const piece of pieces) {
        const from = Math.max(rowFirst, pieceFirst);
        const to = Math.min(rowFirst + rowCount, pieceFirst + piece.rows);
        if (from < to)
          bytes.set(await piece.readRows(from - pieceFirst, to - from), (from - rowFirst) * bytesPerRow);
        pieceFirst += piece.rows;
      }
      return bytes;
    },
  };
}

function joinColumns(pieces: readonly StoredTensor[]): StoredTensor {
  const { name, format, rows } = pieces[0] as StoredTensor;
  const columns = pieces.reduce((sum, piece) => sum + piece.columns, 0);
  return {
    name,
    format,
    rows,
    columns,
    async readRows(rowFirst, rowCount) {
      checkRows({ name, rows }, rowFirst, rowCount);
      const bytesPerRow = rowBytes(format, columns);
      const bytes = new Uint8Array(rowCount * bytesPerRow);
      let at = 0;
      for (const piece of pieces) {
        const part = await piece.readRows(rowFirst, rowCount);
        const partBytes = rowBytes(format, piece.columns);
        for (let row = 0; row < rowCount; row++)
          bytes.set(part.subarray(row * partBytes, (row + 1) * partBytes), row * bytesPerRow + at);
        at += partBytes;
      }
      return bytes;
    },
  };
}

function describe(tensor: StoredTensor): string {
  return `${tensor.format} [${tensor.rows}, ${tensor.columns}]`;
}

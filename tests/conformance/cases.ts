/**
 * What every op is tried with, on every device: one table of cases per op. A new op does not compile without one.
 */
import type { OpArgs, OpName } from "../../src/ops/index.ts";
import type { CacheFormat } from "../../src/ops/store.ts";
import { isPacked, type TensorFormat, tensorFormats } from "../../src/tensor/format.ts";
import { columnView, type Tensor } from "../../src/tensor/tensor.ts";
import { type Place, randomValues } from "./place.ts";
import { trainingCases } from "./training-cases.ts";

export interface Setup<Name extends OpName> {
  readonly args: OpArgs[Name];
  /** What the op writes. */
  readonly outputs: readonly Tensor[];
}

export interface Case<Name extends OpName> {
  readonly name: string;
  setup(place: Place): Promise<Setup<Name>>;
}

const weightFormats: readonly TensorFormat[] = tensorFormats.filter((format) => format !== "I32");

/** A case of an op that has one output, `y`. */
function simple<Name extends OpName>(
  name: string,
  args: (
    place: Place,
  ) => (OpArgs[Name] & { readonly y: Tensor }) | Promise<OpArgs[Name] & { readonly y: Tensor }>,
): Case<Name> {
  return {
    name,
    async setup(place) {
      const made = await args(place);
      return { args: made, outputs: [made.y] };
    },
  };
}

/** Columns that any packed format can have. */
function columnsFor(format: TensorFormat, blocks: number): number {
  return isPacked(format) ? 256 * blocks : 20 * blocks + 1;
}

function embedCase(format: TensorFormat): Case<"embed"> {
  return simple(`table of ${format}`, async (place) => {
    const columns = columnsFor(format, 2);
    const table = await place.weights(format, [21], columns, 1);
    return {
      table,
      tokens: place.ints([20, 0, 7, 8, 8]),
      y: place.output(5, columns),
      count: place.count(4),
    };
  });
}

interface Product {
  readonly format: TensorFormat;
  readonly rows: number;
  readonly parts: readonly number[];
  readonly columns: number;
}

function matmulCase({ format, rows, parts, columns }: Product): Case<"matmul"> {
  const outputs = parts.reduce((sum, part) => sum + part, 0);
  return simple(`${rows} × [${parts.join(" + ")}, ${columns}] ${format}`, async (place) => ({
    x: place.random(rows, columns, 2),
    w: await place.weights(format, parts, columns, 3),
    y: place.output(rows, outputs),
    count: place.count(rows),
  }));
}

const matmulCases: readonly Case<"matmul">[] = [
  ...weightFormats.flatMap((format) => {
    const columns = columnsFor(format, 2);
    return [
      matmulCase({ format, rows: 1, parts: [24], columns }),
      matmulCase({ format, rows: 7, parts: [5, 10, 4], columns }),
      matmulCase({ format, rows: 37, parts: [16], columns: columnsFor(format, 5) }),
    ];
  }),
  // More groups of rows than are multiplied side by side (kernels/multiply-packed.ts), of two threads each.
  matmulCase({ format: "Q4_K", rows: 1, parts: [530], columns: 1024 }),
  matmulCase({ format: "Q8_0", rows: 3, parts: [341], columns: 544 }),
  simple("weights in the file's order, with residual and scale", (place) => ({
    x: place.random(3, 64, 4),
    w: place.plainWeights("Q4_0", 20, 64, 5),
    y: place.output(3, 20),
    residual: place.random(3, 20, 6),
    scale: 0.5,
    count: place.count(3),
  })),
  simple("into its own residual, inside a wider matrix, fewer rows than there is room for", async (place) => {
    const y = columnView(place.random(9, 40, 7), 4, 21);
    const x = columnView(place.random(9, 100, 8), 33, 64);
    return { x, w: await place.weights("Q4_1", [21], 64, 9), y, residual: y, count: place.count(6) };
  }),
  ...[false, true].flatMap((transposed) => [
    plainCase(
      "more than a block of every side",
      130,
      [transposed ? 800 : 70, transposed ? 70 : 800],
      transposed,
    ),
    plainCase("so large that it is multiplied in parts", 2, [16_500, 256], transposed),
  ]),
  ...(["Q4_1", "Q5_K", "F16"] as const).map((format) =>
    simple<"matmul">(`transposed ${format}, more rows than a block`, async (place) => ({
      x: place.random(20, 780, 33),
      w: await place.weights(format, [780], 512, 34),
      y: place.output(20, 512),
      transposed: true,
      count: place.count(20),
    })),
  ),
  simple("activations that are all zero", async (place) => ({
    x: place.random(1, 64, 4, 0),
    w: await place.weights("Q8_0", [8], 64, 5),
    y: place.output(1, 8),
    count: place.count(1),
  })),
  simple("no rows", async (place) => ({
    x: place.random(2, 64, 4),
    w: await place.weights("Q8_0", [8], 64, 5),
    y: place.output(2, 8),
    count: place.count(0),
  })),
  ...weightFormats.map((format) =>
    simple<"matmul">(`transposed ${format}`, async (place) => {
      const columns = columnsFor(format, 1);
      const w = await place.weights(format, [13], columns, 10);
      const residual = place.random(5, columns, 11);
      const y = place.output(5, columns);
      return {
        x: place.random(5, 13, 12),
        w,
        y,
        residual,
        scale: 2,
        transposed: true,
        count: place.count(5),
      };
    }),
  ),
];

/** Weights as training has them, [rows, columns]. */
function plainCase(
  name: string,
  tokens: number,
  [rows, columns]: readonly [number, number],
  transposed: boolean,
): Case<"matmul"> {
  const [inputs, outputs] = transposed ? [rows, columns] : [columns, rows];
  return simple(`${name}, [${rows}, ${columns}]${transposed ? ", transposed" : ""}`, (place) => {
    const y = place.random(tokens, outputs, 35);
    const x = place.random(tokens, inputs, 36);
    const w = place.plainWeights("F32", rows, columns, 37);
    return { x, w, y, residual: y, transposed, scale: 0.5, count: place.count(tokens) };
  });
}

/** Rows of three sequences, whose pages lie here and there. */
function cacheArgs(place: Place, positions: readonly number[], sequences: readonly number[]) {
  return {
    positions: place.ints(positions),
    sequences: place.ints(sequences),
    pages: place.ints([5, 2, 9, 0, 3, 1, 11, 8, 4, 6, 10, 7], 3),
    pageLength: 8,
  };
}

/** Formats of the keys and of the values. */
type CachePair = readonly [keys: CacheFormat, values: CacheFormat];

const halves: CachePair = ["F16", "F16"];
const quants: CachePair = ["Q8_0", "Q8_0"];

function describeCache([keys, values]: CachePair): string {
  return keys === "F16" && values === "F16" ? "" : `, keys of ${keys}, values of ${values}`;
}

function attentionCase(
  name: string,
  heads: number,
  kvHeads: number,
  headLength: number,
  window = 0,
  formats = halves,
): Case<"attention"> {
  return simple(`${name}${describeCache(formats)}`, (place) => {
    const cells = 12 * 8;
    const positions = [0, 3, 7, 8, 31, 20, 15];
    return {
      q: place.random(8, heads * headLength, 13),
      keys: place.plainWeights(formats[0], cells * kvHeads, headLength, 14),
      values: place.plainWeights(formats[1], cells * kvHeads, headLength, 15),
      y: place.output(8, heads * headLength),
      kvHeads,
      scale: 4 / Math.sqrt(headLength),
      window,
      ...cacheArgs(place, positions, [0, 1, 2, 0, 1, 2, 2]),
      count: place.count(positions.length),
    };
  });
}

/** Rows of a prompt that begins late: more than a span before it, tiles of several rows, rests of every size. */
function promptAttentionCase(
  heads: number,
  kvHeads: number,
  rows: number,
  window = 0,
  formats = halves,
): Case<"attention"> {
  const name = `${rows} rows of a prompt, ${heads} heads on ${kvHeads}${window > 0 ? `, a window of ${window}` : ""}`;
  return simple(`${name}${describeCache(formats)}`, (place) => {
    const headLength = formats === halves ? 12 : 32;
    const positions = Array.from({ length: rows }, (_, t) => (t < rows - 3 ? 240 + t : t - rows + 3));
    const sequences = positions.map((_, t) => (t < rows - 3 ? 1 : 0));
    return {
      q: place.random(rows, heads * headLength, 33, 3),
      keys: place.plainWeights(formats[0], 2 * 320 * kvHeads, headLength, 34),
      values: place.plainWeights(formats[1], 2 * 320 * kvHeads, headLength, 35),
      y: place.output(rows, heads * headLength),
      kvHeads,
      scale: 1 / 2,
      window,
      positions: place.ints(positions),
      sequences: place.ints(sequences),
      pages: place.ints([9, 8, 7, 6, 5, 4, 3, 2, 1, 0], 2),
      pageLength: 64,
      count: place.count(rows),
    };
  });
}

function longAttentionCase(formats = halves): Case<"attention"> {
  return simple(`a long text in pages of 64${describeCache(formats)}`, (place) => ({
    q: place.random(2, 4 * 64, 16, 3),
    keys: place.plainWeights(formats[0], 256 * 2, 64, 17),
    values: place.plainWeights(formats[1], 256 * 2, 64, 18),
    y: place.output(2, 4 * 64),
    kvHeads: 2,
    scale: 1 / 8,
    window: 0,
    positions: place.ints([255, 130]),
    sequences: place.ints([0, 0]),
    pages: place.ints([3, 0, 2, 1]),
    pageLength: 64,
    count: place.count(2),
  }));
}

function sampleCase(temperature: number, topK: number): Case<"sample"> {
  return {
    name: `temperature ${temperature}, best ${topK}`,
    async setup(place) {
      const ids = place.output(6, 1, "I32");
      // Few different values, so that ties are met.
      const logits = place.random(6, 101, 19).memory;
      const values = new Float32Array((await place.device.read(logits)).buffer).map((x) => Math.round(8 * x));
      const args = { logits: place.floats(values, 6), seeds: place.ints([1, 2, 3, -4, 5, 6]), ids };
      return { args: { ...args, temperature, topK, count: place.count(6) }, outputs: [ids] };
    },
  };
}

export const cases: { readonly [Name in OpName]: readonly Case<Name>[] } = {
  embed: weightFormats.map(embedCase),
  rmsNorm: [4, 64, 101].map((columns) =>
    simple(`${columns} columns`, (place) => ({
      x: place.random(5, columns, 20, 3),
      w: place.random(1, columns, 21),
      y: place.output(5, columns),
      epsilon: 1e-5,
      count: place.count(4),
    })),
  ),
  matmul: matmulCases,
  rope: [
    { headLength: 8, pairs: 4, inverse: false },
    { headLength: 64, pairs: 32, inverse: false },
    { headLength: 64, pairs: 32, inverse: true },
    { headLength: 16, pairs: 3, inverse: true },
  ].map(({ headLength, pairs, inverse }) =>
    simple(`${pairs} pairs in heads of ${headLength}${inverse ? ", turned back" : ""}`, (place) => {
      const x = columnView(place.random(6, 5 * headLength, 22), headLength, 3 * headLength);
      const frequencies = place.floats(
        Float32Array.from({ length: pairs }, (_, i) => 10000 ** (-i / pairs)),
        1,
      );
      const positions = place.ints([0, 1, 2, 511, 4095, 131071]);
      return { x, y: x, positions, frequencies, headLength, inverse, count: place.count(6) };
    }),
  ),
  store: [
    {
      name: "rows of several sequences, with subnormal, large and infinite values",
      async setup(place) {
        const cache = place.output(96 * 3, 4, "F16");
        const values = [1e-8, -3e-6, 6e-5, 65519, 65520, -1e9, 0, -0, 0.1, 1 / 3, 2049, 2051];
        const x = place.floats(
          Float32Array.from({ length: 48 }, (_, i) => values[i % 12] * (1 + Math.floor(i / 12))),
          4,
        );
        const where = cacheArgs(place, [31, 0, 8, 9], [2, 1, 0, 0]);
        return { args: { x, cache, ...where, count: place.count(4) }, outputs: [cache] };
      },
    },
    {
      name: "blocks of Q8_0, with halves, zeros, subnormal and large values",
      async setup(place) {
        const cache = place.output(96 * 2, 64, "Q8_0");
        // In a block of one largest value of 127 each value is its own quant before it is rounded.
        const x = place.floats(
          randomValues(4 * 128, 38).map((value, i) => {
            const block = i >> 5;
            if (i % 32 === 0) return [127, 127, 0, 1e-42, 1e-30, 1e-5, 3e7, 1e-7][block % 8];
            if (block % 8 === 0) return Math.round(250 * value) / 2;
            if (block % 8 === 1) return [0.49999997, -0.49999997, 0.5, -0.5, 126.5, -1.5][i % 6];
            return [0, 0, 0, 1e-42, 1e-30, 1e-5, 3e7, 1e-7][block % 8] * value;
          }),
          4,
        );
        const where = cacheArgs(place, [31, 0, 8, 9], [2, 1, 0, 0]);
        return { args: { x, cache, ...where, count: place.count(4) }, outputs: [cache] };
      },
    },
  ],
  attention: [
    attentionCase("one key/value head for each query head", 3, 3, 8),
    attentionCase("grouped queries", 6, 2, 16),
    attentionCase("one key/value head for all", 4, 1, 4),
    attentionCase("a window", 4, 2, 8, 6),
    longAttentionCase(),
    promptAttentionCase(6, 2, 45),
    promptAttentionCase(8, 1, 40),
    promptAttentionCase(2, 2, 50, 30),
    promptAttentionCase(14, 2, 37, 250),
    promptAttentionCase(9, 1, 20),
    promptAttentionCase(4, 4, 5),
    longAttentionCase(quants),
    longAttentionCase(["F16", "Q8_0"]),
    longAttentionCase(["Q8_0", "F16"]),
    attentionCase("grouped queries", 6, 2, 96, 0, quants),
    attentionCase("a window", 4, 2, 32, 6, quants),
    promptAttentionCase(6, 2, 45, 0, quants),
    promptAttentionCase(14, 2, 37, 250, quants),
    promptAttentionCase(9, 1, 20, 0, ["Q8_0", "F16"]),
    promptAttentionCase(4, 4, 5, 0, ["F16", "Q8_0"]),
  ],
  swiglu: [3, 64, 130].map((columns) =>
    simple(`${columns} columns`, (place) => {
      const both = place.random(5, 2 * columns, 23, 30);
      const [gate, up] = [columnView(both, 0, columns), columnView(both, columns, columns)];
      return { gate, up, y: place.output(5, columns), count: place.count(5) };
    }),
  ),
  crossEntropy: [3, 100, 32001].map((columns) =>
    simple(`vocabulary of ${columns}`, (place) => ({
      logits: place.random(3, columns, 24, 20),
      targets: place.ints([0, 2, 1]),
      y: place.output(3, 1),
      count: place.count(3),
    })),
  ),
  sample: [sampleCase(0, 1), sampleCase(0.8, 40), sampleCase(1.5, 1), sampleCase(1, 101)],
  adamW: [
    {
      name: "a step",
      async setup(place) {
        const [w, gradient, m] = [25, 26, 27].map((seed) => place.random(3, 10, seed));
        const v = place.floats(
          Float32Array.from({ length: 30 }, (_, i) => 0.01 * i),
          3,
        );
        const settings = place.floats(Float32Array.of(0.01, 0.7, 0.1, 0.05), 1);
        const constants = { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, decay: 0.1 };
        return { args: { w, gradient, m, v, settings, ...constants }, outputs: [w, m, v] };
      },
    },
  ],
  sumSquares: [
    simple("added to what was there", (place) => ({
      x: place.random(7, 33, 28),
      y: place.floats(Float32Array.of(5), 1),
    })),
  ],
  copy: [
    simple("some rows of many", (place) => ({
      x: place.random(9, 20, 29),
      rows: place.ints([8, 0, 3]),
      y: place.output(3, 20),
      count: place.count(3),
    })),
  ],
  fill: [
    simple("part of a matrix", (place) => ({ y: columnView(place.random(4, 9, 30), 2, 5), value: -1.5 })),
  ],
  convert: [
    ...weightFormats.map((format) =>
      simple<"convert">(`${format} to F32`, async (place) => {
        const columns = columnsFor(format, 2);
        return { x: await place.weights(format, [11], columns, 31), y: place.output(11, columns) };
      }),
    ),
    simple("F32 to F16", (place) => ({ x: place.random(5, 33, 32, 300), y: place.output(5, 33, "F16") })),
  ],
  ...trainingCases,
};

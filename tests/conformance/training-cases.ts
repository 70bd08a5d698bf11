/** What the ops of training are tried with. Outputs that are added to start with something in them. */
import type { OpArgs, OpName } from "../../src/ops/index.ts";
import { columnView, type Tensor } from "../../src/tensor/tensor.ts";
import type { Case } from "./cases.ts";
import type { Place } from "./place.ts";

function make<Name extends OpName>(
  name: string,
  setup: (place: Place) => { readonly args: OpArgs[Name]; readonly outputs: readonly Tensor[] },
): Case<Name> {
  return { name, setup: async (place) => setup(place) };
}

interface AttentionShape {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headLength: number;
  readonly length: number;
  readonly starts: readonly number[];
}

const attentionShapes: readonly AttentionShape[] = [
  { heads: 2, kvHeads: 2, headLength: 8, length: 6, starts: [0, 0, 0, 0, 0, 0, 6, 6, 6, 9, 9, 9] },
  { heads: 6, kvHeads: 2, headLength: 16, length: 5, starts: [0, 0, 2, 2, 4, 5, 5, 5, 5, 5] },
  { heads: 3, kvHeads: 1, headLength: 12, length: 64, starts: Array.from({ length: 128 }, (_, t) => t & 64) },
  {
    // Texts of many lengths, and a last window that is not full.
    heads: 4,
    kvHeads: 2,
    headLength: 20,
    length: 150,
    starts: Array.from({ length: 230 }, (_, t) => {
      const [window, row] = [t - (t % 150), t % 150];
      return window + ([0, 3, 11, 12, 75, 110].findLast((start) => start <= row) ?? 0);
    }),
  },
  {
    heads: 4,
    kvHeads: 4,
    headLength: 48,
    length: 80,
    starts: Array.from({ length: 160 }, (_, t) => (t % 80 < 37 ? t - (t % 80) : t - (t % 80) + 37)),
  },
];

/** q, k and v side by side, as the model has them. */
function attentionArgs(place: Place, shape: AttentionShape): OpArgs["packedAttention"] {
  const { heads, kvHeads, headLength, length, starts } = shape;
  const rows = starts.length;
  const qkv = place.random(rows, (heads + 2 * kvHeads) * headLength, 40, 1.5);
  return {
    q: columnView(qkv, 0, heads * headLength),
    k: columnView(qkv, heads * headLength, kvHeads * headLength),
    v: columnView(qkv, (heads + kvHeads) * headLength, kvHeads * headLength),
    y: place.output(rows, heads * headLength),
    logSumExp: place.output(rows, heads),
    starts: place.ints(starts),
    length,
    headLength,
    scale: 1 / Math.sqrt(headLength),
    count: place.count(rows),
  };
}

function attentionName({ heads, kvHeads, headLength, length }: AttentionShape): string {
  return `${heads} heads of ${headLength}, ${kvHeads} for keys, windows of ${length}`;
}

type TrainingOp =
  | "packedAttention"
  | "dropout"
  | "embedGrad"
  | "rmsNormGrad"
  | "matmulGrad"
  | "packedAttentionGrad"
  | "swigluGrad"
  | "crossEntropyGrad";

export const trainingCases: { readonly [Name in TrainingOp]: readonly Case<Name>[] } = {
  packedAttention: attentionShapes.map((shape) =>
    make(attentionName(shape), (place) => {
      const args = attentionArgs(place, shape);
      return { args, outputs: [args.y, args.logSumExp] };
    }),
  ),
  packedAttentionGrad: attentionShapes.map((shape) =>
    make(attentionName(shape), (place) => {
      const args = attentionArgs(place, shape);
      // What is differentiated must have run before.
      place.device.run("packedAttention", args);
      const rows = shape.starts.length;
      const dq = place.output(rows, args.q.columns);
      const dk = place.output(rows, args.k.columns);
      const dv = place.output(rows, args.k.columns);
      const dy = place.random(rows, args.q.columns, 41);
      return { args: { ...args, dy, dq, dk, dv }, outputs: [dq, dk, dv] };
    }),
  ),
  dropout: [0, 0.1, 0.75].map((rate) =>
    make(`rate ${rate}`, (place) => {
      const y = place.output(5, 37);
      const x = place.random(5, 37, 42);
      const args = { x, y, seed: place.ints([77]), salt: 3, rate, count: place.count(5) };
      return { args: rate > 0.5 ? { ...args, residual: place.random(5, 37, 56) } : args, outputs: [y] };
    }),
  ),
  embedGrad: [
    make("an id that comes twice", (place) => {
      const dTable = place.random(9, 37, 43);
      const tokens = place.ints([8, 0, 3, 0, 5]);
      const args = { dy: place.random(5, 37, 44), tokens, dTable, count: place.count(4) };
      return { args, outputs: [dTable] };
    }),
  ],
  rmsNormGrad: [
    [5, 4],
    [70, 64],
    [3, 101],
  ].flatMap(([rows, columns]) =>
    [true, false].map((trained) =>
      make(`${rows} × ${columns}${trained ? "" : ", gains not trained"}`, (place) => {
        const dx = place.random(rows, columns, 45);
        const dw = place.random(1, columns, 46);
        const [x, dy] = [place.random(rows, columns, 47, 3), place.random(rows, columns, 48)];
        const args = { x, w: place.random(1, columns, 49), dy, dx, epsilon: 1e-5, count: place.count(rows) };
        return { args: trained ? { ...args, dw } : args, outputs: [dx, dw] };
      }),
    ),
  ),
  matmulGrad: [
    [3, 8, 8],
    [7, 13, 21],
    [64, 48, 96],
    [130, 33, 70],
    [900, 20, 30],
  ].map(([rows, outputs, inputs]) =>
    make(`${rows} × [${outputs}, ${inputs}]`, (place) => {
      const x = columnView(place.random(rows, inputs + 5, 50), 5, inputs);
      const dy = columnView(place.random(rows, outputs + 3, 51), 3, outputs);
      const dw = place.random(outputs, inputs, 52);
      const scale = outputs === 13 ? 0.5 : 1;
      return { args: { x, dy, dw, scale, count: place.count(rows) }, outputs: [dw] };
    }),
  ),
  swigluGrad: [3, 64, 130].map((columns) =>
    make(`${columns} columns`, (place) => {
      const both = place.random(5, 2 * columns, 53, 30);
      const [gate, up] = [columnView(both, 0, columns), columnView(both, columns, columns)];
      const gradient = place.output(5, 2 * columns);
      const [dGate, dUp] = [columnView(gradient, 0, columns), columnView(gradient, columns, columns)];
      const args = { gate, up, dy: place.random(5, columns, 54), dGate, dUp, count: place.count(5) };
      return { args, outputs: [gradient] };
    }),
  ),
  crossEntropyGrad: [3, 100, 32001].map((columns) =>
    make(`vocabulary of ${columns}, in place`, (place) => {
      const logits = place.random(3, columns, 55, 20);
      const seeds = place.floats(Float32Array.of(-1, 0, 0.5), 3);
      const targets = place.ints([0, 2, 1]);
      return {
        args: { logits, targets, seeds, dLogits: logits, count: place.count(3) },
        outputs: [logits],
      };
    }),
  ),
};

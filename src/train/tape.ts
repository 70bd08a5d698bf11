/**
 * The tape: runs ops and remembers, for each, how a gradient flows back through it.
 *
 *   forward    y = op(x, w)        pushes a closure
 *   backward   the closures, last first: dx and dw from dy
 *
 * Buffers come from an arena and lie at the same places in every step, so forward and backward can each be recorded as
 * a plan. A residual connection costs nothing: the gradient of a sum is that of both parts, so they share one buffer.
 *
 * Flow: forward.ts (the model) → Tape → log-probabilities → seeds → Tape.backward → gradients → adamW.
 */
import { CriaError } from "../shared/errors.ts";
import type { Arena } from "../tensor/arena.ts";
import type { Device } from "../tensor/device.ts";
import { columnView, rowView, type Tensor } from "../tensor/tensor.ts";

/** Weights, with a gradient if they are trained. Frozen ones may be in any format. */
export interface Parameter {
  readonly value: Tensor;
  /** Shaped as the value, F32; added to in every backward pass. */
  readonly gradient?: Tensor;
}

/** A value on the tape, [rows, channels] F32, whose gradient gets a buffer when something first flows back into it. */
export class Variable {
  readonly value: Tensor;
  /** Whether something flowed back: the first overwrites, later ones add. */
  reached = false;
  readonly #allocate: () => Tensor;
  #gradient: Tensor | undefined;

  constructor(value: Tensor, allocate: () => Tensor) {
    this.value = value;
    this.#allocate = allocate;
  }

  get gradient(): Tensor {
    this.#gradient ??= this.#allocate();
    return this.#gradient;
  }

  /** Takes over the gradient of a sum that this is a part of. */
  adopt(gradient: Tensor): void {
    if (this.#gradient)
      throw new CriaError("bad-input", "tape: a residual must not be used after the sum that it is part of");
    this.#gradient = gradient;
    this.reached = true;
  }
}

/** Where a tape runs. */
export interface TapeOptions {
  readonly device: Device;
  readonly arena: Arena;
  /** Rows of every value, all in use. */
  readonly rows: number;
}

export interface ProductOptions {
  /** Added to the product. Not used by anything after it. */
  readonly residual?: Variable;
  /** Where the result goes. Default: a new variable. */
  readonly into?: Variable;
}

export interface AttentionShape {
  readonly headCount: number;
  readonly kvHeadCount: number;
  readonly headLength: number;
  /** [1, rows] I32: the first row that each row sees. */
  readonly starts: Tensor;
  /** Rows of a window. */
  readonly length: number;
}

/** What dropout needs to draw the same values again when the gradient comes back. */
export interface Dropout {
  readonly rate: number;
  /** [1, 1] I32 that changes from step to step. */
  readonly seed: Tensor;
}

export class Tape {
  readonly #device: Device;
  readonly #arena: Arena;
  readonly #rows: number;
  readonly #counts = new Map<number, Tensor>();
  /** Undefined while nothing is to be remembered. */
  #steps: (() => void)[] | undefined = [];

  constructor({ device, arena, rows }: TapeOptions) {
    this.#device = device;
    this.#arena = arena;
    this.#rows = rows;
    // Before any mark, so that no rewind takes it away.
    this.#count(rows);
  }

  /** An empty value. */
  variable(columns: number): Variable {
    const allocate = (): Tensor => this.#arena.allocate(this.#rows, columns);
    return new Variable(allocate(), allocate);
  }

  embed(table: Parameter, tokens: Tensor): Variable {
    const y = this.variable(table.value.columns);
    const count = this.#count();
    this.#device.run("embed", { table: table.value, tokens, y: y.value, count });
    this.#push(() => {
      const dTable = table.gradient;
      if (dTable) this.#device.run("embedGrad", { dy: y.gradient, tokens, dTable, count });
    });
    return y;
  }

  rmsNorm(x: Variable, w: Parameter, epsilon: number): Variable {
    const y = this.variable(x.value.columns);
    const count = this.#count();
    this.#device.run("rmsNorm", { x: x.value, w: w.value, y: y.value, epsilon, count });
    this.#push(() => {
      if (!x.reached) this.#device.run("fill", { y: x.gradient, value: 0 });
      x.reached = true;
      const values = { x: x.value, w: w.value, dy: y.gradient, dx: x.gradient };
      const dw = w.gradient ? { dw: w.gradient } : {};
      this.#device.run("rmsNormGrad", { ...values, ...dw, epsilon, count });
    });
    return y;
  }

  /** residual + x·Wᵀ. Several matrices put their outputs side by side. */
  matmul(x: Variable, matrices: readonly Parameter[], options: ProductOptions = {}): Variable {
    const { residual } = options;
    const columns = matrices.reduce((sum, { value }) => sum + value.rows, 0);
    const y = options.into ?? this.variable(columns);
    this.#eachMatrix(matrices, (w, first) => {
      const target = columnView(y.value, first, w.value.rows);
      const plus = residual ? { residual: columnView(residual.value, first, w.value.rows) } : {};
      this.#device.run("matmul", { x: x.value, w: w.value, y: target, ...plus, count: this.#count() });
    });
    this.#push(() => {
      this.#eachMatrix(matrices, (w, first) => {
        this.#multiplyBack(x, w, columnView(y.gradient, first, w.value.rows), 1);
      });
      residual?.adopt(y.gradient);
    });
    return y;
  }

  /** Adds scale · x·Wᵀ to some columns of y: an adapter beside the weights that made y. */
  addProduct(y: Variable, columnFirst: number, x: Variable, w: Parameter, scale: number): void {
    const target = columnView(y.value, columnFirst, w.value.rows);
    const product = { x: x.value, w: w.value, y: target, residual: target, scale };
    this.#device.run("matmul", { ...product, count: this.#count() });
    this.#push(() => this.#multiplyBack(x, w, columnView(y.gradient, columnFirst, w.value.rows), scale));
  }

  /** Leaves out values; `salt` tells the places of a model apart. */
  dropout(x: Variable, { rate, seed }: Dropout, salt: number): Variable {
    if (rate === 0) return x;
    const y = this.variable(x.value.columns);
    const draw = { seed, salt, rate, count: this.#count() };
    this.#device.run("dropout", { x: x.value, y: y.value, ...draw });
    this.#push(() => {
      const plus = x.reached ? { residual: x.gradient } : {};
      this.#device.run("dropout", { x: y.gradient, y: x.gradient, ...plus, ...draw });
      x.reached = true;
    });
    return y;
  }

  /** Turns the first `columns` columns of x by their positions, in place. */
  rope(x: Variable, columns: number, positions: Tensor, frequencies: Tensor, headLength: number): void {
    const turn = (tensor: Tensor, inverse: boolean): void => {
      const part = columnView(tensor, 0, columns);
      const where = { positions, frequencies, headLength, inverse };
      this.#device.run("rope", { x: part, ...where, count: this.#count() });
    };
    turn(x.value, false);
    this.#push(() => turn(x.gradient, true));
  }

  /** Causal attention over [q | k | v], side by side. */
  attention(qkv: Variable, shape: AttentionShape): Variable {
    const { headCount, kvHeadCount, headLength, starts, length } = shape;
    const [queryLength, keyLength] = [headCount * headLength, kvHeadCount * headLength];
    const parts = (tensor: Tensor): [Tensor, Tensor, Tensor] => [
      columnView(tensor, 0, queryLength),
      columnView(tensor, queryLength, keyLength),
      columnView(tensor, queryLength + keyLength, keyLength),
    ];
    const y = this.variable(queryLength);
    const logSumExp = this.#arena.allocate(this.#rows, headCount);
    const [q, k, v] = parts(qkv.value);
    const settings = { starts, length, headLength, scale: 1 / Math.sqrt(headLength), count: this.#count() };
    const args = { q, k, v, y: y.value, logSumExp, ...settings };
    this.#device.run("packedAttention", args);
    this.#push(() => {
      const [dq, dk, dv] = parts(qkv.gradient);
      this.#device.run("packedAttentionGrad", { ...args, dy: y.gradient, dq, dk, dv });
      qkv.reached = true;
    });
    return y;
  }

  /** silu(gate) · up of [gate | up], side by side. */
  swiglu(gateUp: Variable): Variable {
    const columns = gateUp.value.columns / 2;
    const halves = (tensor: Tensor): [Tensor, Tensor] => [
      columnView(tensor, 0, columns),
      columnView(tensor, columns, columns),
    ];
    const y = this.variable(columns);
    const count = this.#count();
    const [gate, up] = halves(gateUp.value);
    this.#device.run("swiglu", { gate, up, y: y.value, count });
    this.#push(() => {
      const [dGate, dUp] = halves(gateUp.gradient);
      this.#device.run("swigluGrad", { gate, up, dy: y.gradient, dGate, dUp, count });
      gateUp.reached = true;
    });
    return y;
  }

  /**
   * Log-probability of every row's target, into `y`. Rows go through the head a few at a time when `rowsAtOnce` is less
   * than all: their logits are then computed twice, and never lie side by side.
   */
  logProbabilities(
    x: Variable,
    head: Parameter,
    inputs: { readonly targets: Tensor; readonly seeds: Tensor; readonly y: Tensor },
    rowsAtOnce: number,
  ): void {
    const logits = this.#arena.allocate(Math.min(rowsAtOnce, this.#rows), head.value.rows);
    const pieces: (() => LogitsPiece)[] = [];
    for (let first = 0; first < this.#rows; first += rowsAtOnce) {
      const rows = Math.min(rowsAtOnce, this.#rows - first);
      pieces.push(() => ({
        rows: (tensor) => rowView(tensor, first, rows),
        logits: rowView(logits, 0, rows),
        targets: { ...inputs.targets, byteOffset: inputs.targets.byteOffset + 4 * first, columns: rows },
        count: this.#count(rows),
      }));
    }
    const multiply = (piece: LogitsPiece): void =>
      this.#device.run("matmul", {
        x: piece.rows(x.value),
        w: head.value,
        y: piece.logits,
        count: piece.count,
      });
    for (const make of pieces) {
      const piece = make();
      multiply(piece);
      const { logits: of, targets, count } = piece;
      this.#device.run("crossEntropy", { logits: of, targets, y: piece.rows(inputs.y), count });
    }
    this.#push(() => {
      for (const make of pieces) {
        const piece = make();
        if (pieces.length > 1) multiply(piece);
        const { logits: dy, targets, count } = piece;
        const seeds = piece.rows(inputs.seeds);
        this.#device.run("crossEntropyGrad", { logits: dy, targets, seeds, dLogits: dy, count });
        if (head.gradient)
          this.#device.run("matmulGrad", { x: piece.rows(x.value), dy, dw: head.gradient, count });
        const back = { x: dy, w: head.value, y: piece.rows(x.gradient), transposed: true, count };
        this.#device.run("matmul", back);
      }
      x.reached = true;
    });
  }

  /** Runs `body`; the buffers of its gradients are used again after it. Only what it adopts may come from outside. */
  scope<Result>(body: () => Result): Result {
    let mark = 0;
    this.#push(() => this.#arena.rewind(mark));
    const result = body();
    this.#push(() => {
      mark = this.#arena.mark();
    });
    return result;
  }

  /**
   * Runs `body` without keeping what it computes on the way to its output, and again when the gradient comes back: less
   * memory for a second forward pass. Source: Chen et al. 2016, arXiv 1604.06174.
   */
  checkpoint(columns: number, body: (into: Variable) => void): Variable {
    const output = this.variable(columns);
    const mark = this.#arena.mark();
    this.#remember(undefined, () => body(output));
    this.#arena.rewind(mark);
    this.#push(() => {
      const back = this.#arena.mark();
      const steps: (() => void)[] = [];
      this.#remember(steps, () => body(output));
      for (const step of steps.reverse()) step();
      this.#arena.rewind(back);
    });
    return output;
  }

  /** Runs the gradients of all that was recorded; the tape is empty afterwards. */
  backward(): void {
    const steps = this.#steps ?? [];
    this.#steps = [];
    for (const step of steps.reverse()) step();
  }

  #remember(steps: (() => void)[] | undefined, body: () => void): void {
    const outer = this.#steps;
    this.#steps = steps;
    try {
      body();
    } finally {
      this.#steps = outer;
    }
  }

  #push(back: () => void): void {
    this.#steps?.push(back);
  }

  #eachMatrix(matrices: readonly Parameter[], use: (w: Parameter, columnFirst: number) => void): void {
    let columnFirst = 0;
    for (const w of matrices) {
      use(w, columnFirst);
      columnFirst += w.value.rows;
    }
  }

  /** dw += scale · dyᵀ·x and dx += scale · dy·W. */
  #multiplyBack(x: Variable, w: Parameter, dy: Tensor, scale: number): void {
    const count = this.#count();
    if (w.gradient) this.#device.run("matmulGrad", { x: x.value, dy, dw: w.gradient, scale, count });
    const plus = x.reached ? { residual: x.gradient } : {};
    const product = { x: dy, w: w.value, y: x.gradient, ...plus, scale, transposed: true };
    this.#device.run("matmul", { ...product, count });
    x.reached = true;
  }

  /** A [1, 1] I32 that says how many rows are in use. */
  #count(rows: number = this.#rows): Tensor {
    const known = this.#counts.get(rows);
    if (known) return known;
    const count = this.#arena.allocate(1, 1, "I32");
    this.#device.write(count.memory, new Uint8Array(Int32Array.of(rows).buffer), count.byteOffset);
    this.#counts.set(rows, count);
    return count;
  }
}

/** Some rows on their way through the head. */
interface LogitsPiece {
  rows(tensor: Tensor): Tensor;
  /** [piece, vocabulary] */
  readonly logits: Tensor;
  readonly targets: Tensor;
  readonly count: Tensor;
}

/**
 * The weights that are trained, with their gradients and AdamW's means, each kind in one block of memory, so that an
 * update is a few calls whatever the number of matrices.
 *
 * Flow: names and shapes → ParameterStore → forward.ts (values), tape.ts (gradients), optimizer.ts (updates).
 */
import { CriaError } from "../shared/errors.ts";
import type { Device } from "../tensor/device.ts";
import { denseTensor, type Memory, type Tensor } from "../tensor/tensor.ts";
import type { Parameter } from "./tape.ts";

export interface ParameterShape {
  readonly name: string;
  readonly rows: number;
  readonly columns: number;
  /** Whether weight decay pulls it to 0: matrices, not gains. */
  readonly decay: boolean;
}

/** Parameters that are updated alike, as one matrix of BLOCK columns: [blocks, BLOCK] F32 each. */
export interface ParameterGroup {
  readonly decay: boolean;
  readonly w: Tensor;
  readonly gradient: Tensor;
  readonly m: Tensor;
  readonly v: Tensor;
}

/** What a checkpoint holds of a parameter. */
export const parameterKinds = ["w", "m", "v"] as const;
export type ParameterKind = (typeof parameterKinds)[number];

/** Values that a parameter's length is rounded up to; what lies between stays 0. */
const BLOCK = 256;

interface Place {
  readonly shape: ParameterShape;
  readonly group: number;
  /** Value of the group's block where it starts. */
  readonly first: number;
}

export class ParameterStore {
  readonly groups: readonly ParameterGroup[];
  readonly #device: Device;
  readonly #places = new Map<string, Place>();
  readonly #memories: Memory[] = [];

  /** Zeroed parameters. */
  constructor(device: Device, shapes: readonly ParameterShape[]) {
    this.#device = device;
    const groups: ParameterGroup[] = [];
    for (const decay of [true, false]) {
      const members = shapes.filter((shape) => shape.decay === decay);
      if (members.length === 0) continue;
      let length = 0;
      for (const shape of members) {
        this.#places.set(shape.name, { shape, group: groups.length, first: length });
        length += paddedLength(shape);
      }
      const block = (): Tensor => {
        const memory = device.allocate(4 * length);
        this.#memories.push(memory);
        return denseTensor(memory, 0, length / BLOCK, BLOCK, "F32");
      };
      groups.push({ decay, w: block(), gradient: block(), m: block(), v: block() });
    }
    this.groups = groups;
  }

  /** Bytes of values, gradients and both means together. */
  static bytesOf(shapes: readonly ParameterShape[]): number {
    return 16 * shapes.reduce((sum, shape) => sum + paddedLength(shape), 0);
  }

  get names(): readonly string[] {
    return [...this.#places.keys()];
  }

  /** Values of all parameters, without what rounding adds. */
  get valueCount(): number {
    return [...this.#places.values()].reduce((sum, { shape }) => sum + shape.rows * shape.columns, 0);
  }

  shape(name: string): ParameterShape {
    return this.#place(name).shape;
  }

  parameter(name: string): Parameter & { readonly gradient: Tensor } {
    return { value: this.#tensor(name, "w"), gradient: this.#tensor(name, "gradient") };
  }

  write(name: string, values: Float32Array, kind: ParameterKind = "w"): void {
    const { rows, columns } = this.shape(name);
    if (values.length !== rows * columns)
      throw new CriaError(
        "bad-input",
        `parameter ${name}: expected ${rows * columns} values for [${rows}, ${columns}], got ${values.length}`,
      );
    const { memory, byteOffset } = this.#tensor(name, kind);
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    this.#device.write(memory, bytes, byteOffset);
  }

  /** A copy, [rows · columns]. */
  async read(name: string, kind: ParameterKind | "gradient" = "w"): Promise<Float32Array> {
    const { rows, columns } = this.shape(name);
    const { memory, byteOffset } = this.#tensor(name, kind);
    const bytes = await this.#device.read(memory, byteOffset, 4 * rows * columns);
    return new Float32Array(bytes.buffer, bytes.byteOffset, rows * columns);
  }

  dispose(): void {
    for (const memory of this.#memories.splice(0)) this.#device.free(memory);
  }

  #place(name: string): Place {
    const place = this.#places.get(name);
    if (!place) throw new CriaError("not-found", `there is no parameter ${name}`);
    return place;
  }

  #tensor(name: string, kind: ParameterKind | "gradient"): Tensor {
    const { shape, group, first } = this.#place(name);
    return denseTensor(this.groups[group][kind].memory, 4 * first, shape.rows, shape.columns, "F32");
  }
}

function paddedLength({ rows, columns }: ParameterShape): number {
  return Math.ceil((rows * columns) / BLOCK) * BLOCK;
}

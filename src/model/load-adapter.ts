/**
 * Puts adapters into a device's memory, so that a loaded model can answer with them without new weights.
 *
 * Flow: adapter.ts (contents) → loadAdapter → llama.ts (products beside the weights).
 */
import { checksumOf } from "../shared/checksum.ts";
import { banksOf, type Device } from "../tensor/device.ts";
import { denseTensor, type Memory, type Tensor } from "../tensor/tensor.ts";
import type { AdapterContents } from "./adapter.ts";
import type { Placement } from "./placement.ts";

/** The two matrices beside a weight. */
export interface AdapterTensors {
  /** [rank, inputs] F32 */
  readonly a: Tensor;
  /** [outputs, rank] F32 */
  readonly b: Tensor;
}

export interface LoadedAdapter {
  readonly name: string;
  /** Of its values: names say little, since most files are called adapter.gguf and are trained again under their names. */
  readonly fingerprint: string;
  /** alpha / rank for the largest rank, times what the user asks for */
  readonly scale: number;
  /** The largest rank of its matrices. */
  readonly rank: number;
  /** By the weight's GGUF name, `blk.0.attn_q.weight`. */
  readonly matrices: ReadonlyMap<string, AdapterTensors>;
  dispose(): void;
}

/**
 * Each pair of matrices goes to the bank of its weight.
 *
 * @throws {CriaError} "no-memory" when the device cannot hold it; what was allocated is freed.
 */
export async function loadAdapter(
  device: Device,
  placement: Placement,
  adapter: AdapterContents,
  scale = 1,
): Promise<LoadedAdapter> {
  const memories: Memory[] = [];
  const dispose = (): void => {
    for (const memory of memories.splice(0)) device.free(memory);
  };
  const put = async (name: string, values: Float32Array, rows: number): Promise<Tensor> => {
    const columns = values.length / rows;
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    const readRows = async (first: number, count: number): Promise<Uint8Array> =>
      bytes.slice(4 * first * columns, 4 * (first + count) * columns);
    const layer = Number(/^blk\.(\d+)\./.exec(name)?.[1]);
    const bank = banksOf(device)[placement.layers[layer] ?? 0];
    if (bank.loadWeight) {
      const tensor = await bank.loadWeight([{ format: "F32", rows, columns, readRows }]);
      memories.push(tensor.memory);
      return tensor;
    }
    const memory = bank.allocate(bytes.length);
    memories.push(memory);
    device.write(memory, bytes);
    return denseTensor(memory, 0, rows, columns, "F32");
  };
  try {
    const matrices = new Map<string, AdapterTensors>();
    const largest = Math.max(...Array.from(adapter.matrices.values(), ({ rank }) => rank));
    for (const [name, { a, b, rank }] of adapter.matrices) {
      // One scale serves all matrices, so what those of another rank differ by goes into their B.
      const own = rank === largest ? b : b.map((value) => (value * largest) / rank);
      matrices.set(name, { a: await put(name, a, rank), b: await put(name, own, b.length / rank) });
    }
    const factor = adapter.alpha / largest;
    const { name } = adapter;
    return {
      name,
      fingerprint: fingerprintOf(adapter),
      scale: scale * factor,
      rank: largest,
      matrices,
      dispose,
    };
  } catch (error) {
    dispose();
    throw error;
  }
}

function fingerprintOf({ matrices }: AdapterContents): string {
  let sum = 0;
  for (const [name, { a, b }] of matrices)
    for (const words of [Int32Array.from(new TextEncoder().encode(name)), a, b])
      sum = checksumOf(new Uint8Array(words.buffer, words.byteOffset, words.byteLength), sum);
  return sum.toString(16);
}

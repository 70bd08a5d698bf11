/**
 * The compiled kernels, and what this machine makes of them. An engine may accept an instruction and compute it wrongly
 * (Node 20's relaxed dot product), so binaries are chosen by computing known results, never by validating alone.
 */
import { CriaError } from "../../shared/errors.ts";
import { SUM_PAIRS, SUM_QUADS, SUM_QUADS_OF_BYTES } from "./kernels/codes.ts";
import { relaxedSimd, simd } from "./kernels.generated.ts";

/** What a module exports (kernels/index.ts). Addresses are bytes of the shared memory. */
export interface Kernels {
  /** Runs a thread's share of a plan. */
  walk(control: number, plan: number, thread: number, threadCount: number): void;
  /** Starts a plan on the threads that follow; 0 ends them. */
  release(control: number, plan: number): void;
  /** Walks plans as they are started, until told to end. */
  follow(control: number, thread: number, threadCount: number): void;
  /** Bytes of 8 interleaved rows. */
  groupBytes(format: number, columns: number): number;
  biasOf(format: number): number;
  probeQuads(x: number, q: number): number;
  probePairs(x: number, q: number): number;
}

/** A module that computes rightly here, and the ways of summing (codes.ts) that it can be asked for. */
export interface Binary {
  readonly module: WebAssembly.Module;
  readonly name: "simd" | "relaxed-simd";
  readonly modes: readonly number[];
}

/**
 * The best binary for this machine; the plain one if relaxed SIMD is not wanted.
 *
 * @throws {CriaError} code "unsupported" without SIMD, threads or shared memory.
 */
export async function chooseBinary(withRelaxedSimd: boolean): Promise<Binary> {
  const relaxed = withRelaxedSimd ? await probe("relaxed-simd", relaxedSimd) : undefined;
  if (relaxed) return relaxed;
  const plain = await probe("simd", simd);
  if (plain) return plain;
  throw new CriaError("unsupported", "this JavaScript engine has no WebAssembly SIMD with shared memory");
}

/** Runs the module's own code in a memory, which its threads share. */
export function instantiate(module: WebAssembly.Module, memory: WebAssembly.Memory): Kernels {
  return new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as Kernels;
}

async function probe(name: Binary["name"], base64: string): Promise<Binary | undefined> {
  try {
    const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    const module = await WebAssembly.compile(bytes);
    const kernels = instantiate(module, new WebAssembly.Memory({ initial: 1, maximum: 65536, shared: true }));
    const modes = exactModes(name, kernels);
    return modes.length === 0 ? undefined : { module, name, modes };
  } catch {
    // Not accepted by this engine: the next binary needs less of it.
    return undefined;
  }
}

function exactModes(name: Binary["name"], kernels: Kernels): number[] {
  const modes: number[] = [];
  if (kernels.probePairs(-127, 127) === 2 * -127 * 127 && kernels.probePairs(-128, 15) === 2 * -128 * 15)
    modes.push(SUM_PAIRS);
  // Without relaxed SIMD the 32-bit sum is made of the 16-bit one: it is never faster.
  if (name === "simd") return modes;
  if (
    kernels.probeQuads(-127, 127) === 1 + 4 * -127 * 127 &&
    kernels.probeQuads(127, 127) === 1 + 4 * 127 * 127
  )
    modes.push(SUM_QUADS);
  if (
    kernels.probeQuads(-127, -1) === 1 + 4 * -127 * 255 &&
    kernels.probeQuads(127, -1) === 1 + 4 * 127 * 255
  )
    modes.push(SUM_QUADS_OF_BYTES);
  return modes;
}

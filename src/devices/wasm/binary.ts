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
  /** 1 if the word at an address became another than `value` within so many looks, else 0. */
  look(at: number, value: number, looks: number): number;
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
 * @throws {CriaError} code "unsupported" without SIMD, or for `shared` without threads and shared memory.
 */
export async function chooseBinary(withRelaxedSimd: boolean, shared: boolean): Promise<Binary> {
  const relaxed = withRelaxedSimd ? await probe("relaxed-simd", relaxedSimd, shared) : undefined;
  if (relaxed) return relaxed;
  const plain = await probe("simd", simd, shared);
  if (plain) return plain;
  throw new CriaError(
    "unsupported",
    `this JavaScript engine has no WebAssembly SIMD${shared ? " with shared memory" : ""}`,
  );
}

/**
 * The one memory of a device. Threads need a shared one, which pages get only when they are isolated from other origins.
 */
export function createMemory(shared: boolean): WebAssembly.Memory {
  return new WebAssembly.Memory({ initial: 1, maximum: 65536, shared });
}

/** `env`, `memory`, and that a memory is imported; the byte after it says that it has a maximum (1) and is shared (2). */
const MEMORY_IMPORT: readonly number[] = [3, ...ascii("env"), 6, ...ascii("memory"), 2];
const WITH_MAXIMUM = 1;

function ascii(text: string): number[] {
  return [...text].map((character) => character.charCodeAt(0));
}

/** The same module for a memory that is not shared: nothing but the declaration of its memory differs. */
function withoutSharing(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const end = bytes.length - MEMORY_IMPORT.length;
  for (let at = 0; at < end; at++) {
    if (!MEMORY_IMPORT.every((byte, index) => bytes[at + index] === byte)) continue;
    bytes[at + MEMORY_IMPORT.length] = WITH_MAXIMUM;
    return bytes;
  }
  throw new Error("the module imports no memory");
}

/** Runs the module's own code in a memory, which its threads share. */
export function instantiate(module: WebAssembly.Module, memory: WebAssembly.Memory): Kernels {
  return new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as Kernels;
}

async function probe(name: Binary["name"], base64: string, shared: boolean): Promise<Binary | undefined> {
  try {
    const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    const module = await WebAssembly.compile(shared ? bytes : withoutSharing(bytes));
    // A memory of one page, not of all addresses: a device in several memories makes this choice for each of them.
    const kernels = instantiate(module, new WebAssembly.Memory({ initial: 1, maximum: 1, shared }));
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

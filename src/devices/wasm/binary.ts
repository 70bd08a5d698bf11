/**
 * The compiled kernels, and what this machine makes of them. An engine may accept an instruction and compute it wrongly
 * (Node 20's relaxed dot product), so binaries are chosen by computing known results, never by validating alone.
 */
import { CriaError } from "../../shared/errors.ts";
import { SUM_PAIRS, SUM_QUADS, SUM_QUADS_OF_BYTES } from "./kernels/codes.ts";
import { relaxedSimd, simd } from "./kernels.generated.ts";
import { instantiate, type Kernels } from "./module.ts";

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

async function probe(name: Binary["name"], base64: string, shared: boolean): Promise<Binary | undefined> {
  try {
    const bytes = bytesOf(base64);
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

function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  const characters = atob(base64);
  const bytes = new Uint8Array(characters.length);
  for (let at = 0; at < bytes.length; at++) bytes[at] = characters.charCodeAt(at);
  return bytes;
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

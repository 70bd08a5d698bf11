/**
 * Where a device's bytes are: a WebAssembly memory of this thread's, or one that a worker holds (worker-space.ts).
 *
 * Flow: heap.ts (which addresses) and device.ts (which bytes) → Space.
 */
import { CriaError } from "../../shared/errors.ts";
import { createMemory } from "./module.ts";

export const PAGE = 65536;

export interface Space {
  /** Bytes that it has at the start; those beyond the first page are not zero in a memory that is used again. */
  readonly byteLength: number;
  /** Makes it larger by zeroed pages. @throws {Error} when there is no room; a worker's is told of later, by its death */
  grow(pages: number): void;
  /** Zeroes [start, end). */
  clear(start: number, end: number): void;
  put(address: number, bytes: Uint8Array): void;
  /** The bytes themselves, if this thread sees them and growing leaves them where they are. */
  view(address: number, byteLength: number): Uint8Array | undefined;
  /** A copy, for which `into` may be used. */
  take(address: number, byteLength: number, into?: Uint8Array): Uint8Array | Promise<Uint8Array>;
  /** Gives the memory to the next space. No thread may use it any more. */
  dispose(): void;
}

/**
 * Memories of disposed spaces. Engines do not count shared memory when they decide to collect garbage, so a program that
 * loads models one after the other would hold them all; until they are collected, they are used again.
 */
const spares: WeakRef<WebAssembly.Memory>[] = [];

function takeMemory(shared: boolean): WebAssembly.Memory {
  // Memory of one thread is collected like anything else.
  if (!shared) return createMemory(false);
  for (let spare = spares.pop(); spare; spare = spares.pop()) {
    const memory = spare.deref();
    if (memory) return memory;
  }
  return createMemory(true);
}

/** A memory of this thread's, which others may share. */
export class MemorySpace implements Space {
  readonly memory: WebAssembly.Memory;
  readonly byteLength: number;
  readonly #shared: boolean;
  #bytes: Uint8Array<ArrayBufferLike>;

  /** @throws {CriaError} code "no-memory" when there are no addresses left for one more memory. */
  constructor(shared: boolean) {
    this.#shared = shared;
    try {
      this.memory = takeMemory(shared);
    } catch (cause) {
      throw new CriaError("no-memory", "the process has no addresses left for one more WebAssembly memory", {
        cause,
      });
    }
    this.byteLength = this.memory.buffer.byteLength;
    this.#bytes = new Uint8Array(this.memory.buffer);
  }

  /** The whole memory. Valid until it grows. */
  get bytes(): Uint8Array<ArrayBufferLike> {
    const { buffer } = this.memory;
    if (this.#bytes.buffer !== buffer) this.#bytes = new Uint8Array(buffer);
    return this.#bytes;
  }

  grow(pages: number): void {
    this.memory.grow(pages);
  }

  clear(start: number, end: number): void {
    this.bytes.fill(0, start, end);
  }

  put(address: number, bytes: Uint8Array): void {
    this.bytes.set(bytes, address);
  }

  view(address: number, byteLength: number): Uint8Array | undefined {
    return this.#shared ? this.bytes.subarray(address, address + byteLength) : undefined;
  }

  take(address: number, byteLength: number, into?: Uint8Array): Uint8Array {
    const bytes = this.bytes.subarray(address, address + byteLength);
    if (into?.length !== byteLength) return new Uint8Array(bytes);
    into.set(bytes);
    return into;
  }

  dispose(): void {
    if (this.#shared) spares.push(new WeakRef(this.memory));
  }
}

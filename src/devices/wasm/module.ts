/**
 * The kernels' module as a thread sees it: what it exports, and the memory it runs in. Apart from binary.ts, so that
 * workers, which are handed a compiled module, do not read the binaries.
 */

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

/**
 * The one memory of a device. Threads need a shared one, which pages get only when they are isolated from other origins.
 */
export function createMemory(shared: boolean): WebAssembly.Memory {
  return new WebAssembly.Memory({ initial: 1, maximum: 65536, shared });
}

/** Runs the module's own code in a memory, which its threads share. */
export function instantiate(module: WebAssembly.Module, memory: WebAssembly.Memory): Kernels {
  return new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as Kernels;
}

/**
 * How the caller and the first worker hear of each other through shared memory: words in cache lines of their own, behind
 * those of kernels/barrier.ts.
 */

/** Bytes of the words here and before. */
const HANDSHAKE_BYTES = 512;

/** Bytes of all words by which threads keep step: behind these each thread has a cache line (kernels/barrier.ts). */
export function controlBytes(threadCount: number): number {
  return HANDSHAKE_BYTES + 64 * threadCount;
}

/** How often a waiting thread looks before it sleeps. */
export const LOOKS = 34;
/** Whether products with few tokens read many streams of weights. */
export const MANY_STREAMS = 35;

/** The number of the latest plan that was asked for; its address, and whether one thread walks it. */
export const REQUEST = 64;
export const PLAN = 65;
export const SMALL = 66;
/** The number of the latest plan that is done. */
export const DONE = 80;
/** Whether the first worker hears messages only. */
export const ASLEEP = 96;
/** The number of the plan whose end the caller wants a message about. */
export const WAITING = 112;

/** In the place of a plan's address: the threads end, each with the message below. */
export const END = 0;
export const ENDED = "ended";

/** The first message to a thread. */
export interface ThreadStart {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  /** Address of the words. */
  readonly control: number;
  readonly thread: number;
  readonly threadCount: number;
}

export function handshakeWords(memory: WebAssembly.Memory, control: number): Int32Array<ArrayBufferLike> {
  return new Int32Array(memory.buffer, control, HANDSHAKE_BYTES / 4);
}

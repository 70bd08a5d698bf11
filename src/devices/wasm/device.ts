/**
 * The CPU device: kernels in WebAssembly, plans in shared memory, walked by threads without JavaScript between the ops.
 *
 * Flow: ops (names, tensors) → lower.ts (calls) → plan in shared memory → threads.ts → kernels/index.ts.
 */
import type { OpArgs, OpName } from "../../ops/index.ts";
import { CriaError } from "../../shared/errors.ts";
import { nextTurn } from "../../shared/next-turn.ts";
import type { Device, Plan, WeightPart } from "../../tensor/device.ts";
import { isPacked, rowBytes, type TensorFormat } from "../../tensor/format.ts";
import { isTensor, type Memory, type Tensor } from "../../tensor/tensor.ts";
import { WorkQueue } from "../work-queue.ts";
import { chooseBinary } from "./binary.ts";
import { controlBytes, handshakeWords, LOOKS, MANY_STREAMS } from "./handshake.ts";
import { Heap, MEMORY_LIMIT } from "./heap.ts";
import { FEW_ROWS } from "./kernels/codes.ts";
import { loadInterleaved } from "./load-weight.ts";
import { lower, planBytes, writePlan } from "./lower.ts";
import { interleavedBytes } from "./lower-products.ts";
import { instantiate, type Kernels } from "./module.ts";
import { MemorySpace, type Space } from "./space.ts";
import { StreamsChoice, type TimedPlan } from "./streams.ts";
import { callerThread, type StartThread, type Threads, workerThreads } from "./threads.ts";
import { fastestMode, looksBeforeSleep } from "./timing.ts";
import type { Call, Place } from "./words.ts";
import { WorkerSpace } from "./worker-space.ts";

export interface WasmDeviceOptions {
  /** Starts a worker; without it everything runs on the caller's thread. */
  readonly startThread?: StartThread;
  /** Workers to start. Default 1. */
  readonly threadCount?: number;
  /**
   * Products in a plan below which one worker does it alone: others would wait longer than they work. Default two
   * million, about 0.2 ms.
   */
  readonly smallWork?: number;
  /** Whether relaxed SIMD may be used where it computes rightly. Default true. */
  readonly relaxedSimd?: boolean;
  /** Use shared memory, which several threads need. Default: where there is such a thing; without it there is one worker. */
  readonly shared?: boolean;
  /** How integer products are summed (kernels/codes.ts). Default: the fastest here, found by timing. */
  readonly mode?: number;
  /** Whether products with few tokens read many streams of weights at a time. Default: what is faster, found by timing. */
  readonly manyStreams?: boolean;
  /** Bytes that it may hold. Default, and most: 4 GiB, what one WebAssembly memory can have. */
  readonly memoryLimit?: number;
}

/** Rows of one prefill step: more make the product a few percent faster, and an abort later. */
const PREFILL_ROWS = 128;

/** How long other work of the caller's thread may have to wait while small steps follow each other. */
const TURN_MILLISECONDS = 1;

/** The ends of disposed devices: the next one waits for them, to use their memory again (heap.ts). */
let endings: Promise<unknown> = Promise.resolve();

class WasmMemory implements Memory {
  readonly address: number;
  readonly byteLength: number;
  /** Whether it holds weights in the interleaved order (kernels/formats.ts). */
  readonly interleaved: boolean;

  constructor(address: number, byteLength: number, interleaved: boolean) {
    this.address = address;
    this.byteLength = byteLength;
    this.interleaved = interleaved;
  }
}

class WasmPlan implements Plan, TimedPlan {
  readonly device: WasmDevice;
  readonly address: number;
  readonly callCount: number;
  /** Whether one thread walks it. */
  readonly small: boolean;
  readonly fewRowsBytes: number;
  freed = false;

  constructor(device: WasmDevice, address: number, { calls, work, fewRowsBytes }: Recording) {
    this.device = device;
    this.address = address;
    this.callCount = calls.length;
    this.small = device.isSmall(work);
    this.fewRowsBytes = fewRowsBytes;
  }
}

/** What is known of a plan while it is recorded. */
interface Recording {
  readonly calls: Call[];
  /** Products, about. */
  work: number;
  fewRowsBytes: number;
}

/**
 * A device that runs on the processor.
 *
 * @throws {CriaError} code "unsupported" where WebAssembly lacks SIMD, threads or shared memory.
 */
export async function createWasmDevice(options: WasmDeviceOptions = {}): Promise<Device> {
  const shared = options.shared ?? sharesMemory();
  const { module, modes } = await chooseBinary(options.relaxedSimd ?? true, shared);
  await endings;
  const space = new MemorySpace(shared);
  const memoryLimit = Math.min(options.memoryLimit ?? MEMORY_LIMIT, MEMORY_LIMIT);
  const heap = new Heap(space, memoryLimit);
  const { startThread, threadCount = 1, smallWork = 2_000_000 } = options;
  const control = heap.allocate(controlBytes(threadCount));
  const kernels = instantiate(module, space.memory);
  const mode = options.mode ?? fastestMode({ kernels, space, heap, control }, modes);
  if (!modes.includes(mode))
    throw new CriaError("unsupported", `this processor cannot sum products in way ${mode}`);
  const { manyStreams } = options;
  const parts = { kernels, mode, smallWork, memoryLimit, ...(manyStreams !== undefined && { manyStreams }) };
  if (startThread && !shared) {
    // The memory above served to choose the way; the worker makes its own.
    const owner = new WorkerSpace(startThread, module);
    const ownHeap = new Heap(owner, memoryLimit);
    const ownControl = ownHeap.allocate(controlBytes(1));
    const threads = owner.threads(ownControl);
    return new WasmDevice({ ...parts, space: owner, heap: ownHeap, control: ownControl, threads });
  }
  if (threadCount > 1) handshakeWords(space.memory, control)[LOOKS] = looksBeforeSleep(kernels, control);
  const threads = startThread
    ? workerThreads(startThread, threadCount, { module, memory: space.memory, control })
    : callerThread(kernels, control);
  return new WasmDevice({ ...parts, space, heap, control, threads });
}

/** Pages have shared memory only when they are isolated from other origins. */
export function sharesMemory(): boolean {
  const { crossOriginIsolated } = globalThis as { crossOriginIsolated?: boolean };
  return typeof SharedArrayBuffer === "function" && crossOriginIsolated !== false;
}

interface Parts {
  readonly space: Space;
  readonly heap: Heap;
  readonly kernels: Kernels;
  readonly mode: number;
  /** Address of the words by which threads keep step. */
  readonly control: number;
  readonly manyStreams?: boolean;
  readonly threads: Threads;
  readonly smallWork: number;
  readonly memoryLimit: number;
}

class WasmDevice implements Device {
  readonly name = "wasm";
  readonly prefillRows: number = PREFILL_ROWS;
  readonly memoryLimit: number;
  readonly #space: Space;
  readonly #heap: Heap;
  readonly #kernels: Kernels;
  readonly #threads: Threads;
  readonly #place: Place;
  readonly #queue = new WorkQueue();
  readonly #live = new Set<Memory>();
  #scratch = { address: 0, byteLength: 0 };
  /** One weight at a time, since all are read into the same room. */
  #loading: Promise<void> = Promise.resolve();
  #loadsUnderWay = 0;
  #room = new Uint8Array(0);
  readonly #smallWork: number;
  readonly #streams: StreamsChoice;
  #recording: Recording | undefined;
  #disposed = false;
  #turnAt = 0;

  constructor({ space, heap, kernels, mode, control, manyStreams, threads, smallWork, memoryLimit }: Parts) {
    this.memoryLimit = memoryLimit;
    this.#smallWork = smallWork;
    this.#space = space;
    this.#heap = heap;
    this.#kernels = kernels;
    this.#threads = threads;
    this.#place = {
      kernels,
      mode,
      threadCount: threads.count,
      addressOf: (tensor) => this.#addressOf(tensor),
      interleavedAddressOf: (tensor) => this.#interleavedAddressOf(tensor),
      scratch: (byteLength) => this.#scratchOf(byteLength),
    };
    this.#streams = new StreamsChoice(
      (many) => space.put(control + 4 * MANY_STREAMS, new Uint8Array(Int32Array.of(Number(many)).buffer)),
      manyStreams,
    );
  }

  allocate(byteLength: number): Memory {
    return this.#allocate(byteLength, { interleaved: false, zeroed: true });
  }

  free(memory: Memory): void {
    if (!this.#live.has(memory)) return;
    const { address, byteLength } = this.#own(memory);
    this.#live.delete(memory);
    // After the plans under way, which may still use it; after a failure there are none.
    if (!this.#queue.failed) this.#queue.add(() => this.#heap.free(address, byteLength));
  }

  write(memory: Memory, bytes: Uint8Array, byteOffset = 0): void {
    const { address, byteLength } = this.#own(memory);
    if (byteOffset < 0 || byteOffset + bytes.length > byteLength)
      throw new CriaError(
        "bad-input",
        `${bytes.length} bytes at byte ${byteOffset} do not fit a memory of ${byteLength} bytes`,
      );
    const put = (source: Uint8Array): void => this.#space.put(address + byteOffset, source);
    if (this.#queue.busy) {
      const copy = bytes.slice();
      this.#queue.add(() => put(copy));
    } else put(bytes);
  }

  async read(
    memory: Memory,
    byteOffset = 0,
    byteLength = memory.byteLength - byteOffset,
    into?: Uint8Array,
  ): Promise<Uint8Array> {
    const { address } = this.#own(memory);
    if (byteOffset < 0 || byteOffset + byteLength > memory.byteLength)
      throw new CriaError(
        "bad-input",
        `${byteLength} bytes at byte ${byteOffset} do not lie in a memory of ${memory.byteLength} bytes`,
      );
    await this.#queue.idle();
    await this.#giveTurn();
    return this.#space.take(address + byteOffset, byteLength, into);
  }

  loadWeight(parts: readonly WeightPart[]): Promise<Tensor> {
    this.#loadsUnderWay++;
    const loading = this.#loading.then(() => this.#loadWeight(parts));
    const done = (): void => {
      this.#loadsUnderWay--;
    };
    this.#loading = loading.then(done, done);
    return loading;
  }

  weightBytes(format: TensorFormat, rows: number, columns: number): number {
    return interleavedBytes(this.#kernels, format, rows, columns);
  }

  #loadWeight(parts: readonly WeightPart[]): Promise<Tensor> {
    return loadInterleaved(parts, {
      place: this.#place,
      allocate: (byteLength) => this.#allocate(byteLength, { interleaved: true, zeroed: false }),
      stage: (byteLength) => this.#allocate(byteLength, { interleaved: false, zeroed: false }),
      room: (byteLength) => {
        if (this.#room.length < byteLength) this.#room = new Uint8Array(byteLength);
        return this.#room;
      },
      free: (memory) => this.free(memory),
      put: (address, bytes) => this.#space.put(address, bytes),
      addressOf: (memory) => this.#own(memory).address,
      bytesOf: (memory) => this.#space.view(this.#own(memory).address, memory.byteLength),
      run: async (calls) => {
        this.#runOnce(calls, false);
        await this.#queue.idle();
      },
    });
  }

  run<Name extends OpName>(name: Name, args: OpArgs[Name]): void {
    this.#assertUsable();
    const calls = lower(this.#place, name, args);
    const work = workOf(name, args);
    if (this.#recording) {
      this.#recording.calls.push(...calls);
      this.#recording.work += work;
      if (name === "matmul") this.#recording.fewRowsBytes += this.#fewRowsBytesOf(args as OpArgs["matmul"]);
    } else this.#runOnce(calls, this.isSmall(work));
  }

  record(body: () => void): Plan {
    this.#assertUsable();
    if (this.#recording) throw new CriaError("bad-input", "a plan is being recorded already");
    const recording: Recording = { calls: [], work: 0, fewRowsBytes: 0 };
    this.#recording = recording;
    try {
      body();
    } finally {
      this.#recording = undefined;
    }
    return new WasmPlan(this, this.#planOf(recording.calls), recording);
  }

  replay(plan: Plan): void {
    this.#assertUsable();
    if (!(plan instanceof WasmPlan) || plan.device !== this || plan.freed)
      throw new CriaError("bad-input", "the plan was freed, or recorded by another device");
    this.#queue.add(() => this.#streams.run(plan, () => this.#threads.run(plan.address, plan.small)));
  }

  freePlan(plan: Plan): void {
    if (!(plan instanceof WasmPlan) || plan.device !== this || plan.freed || this.#queue.failed) return;
    plan.freed = true;
    this.#queue.add(() => this.#heap.free(plan.address, planBytes(plan.callCount)));
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#live.clear();
    // A file that is still being read may be written to the memory, which then nobody else may use.
    const unused = this.#loadsUnderWay === 0;
    const ended = this.#threads.dispose().then((gone) => gone && unused && this.#space.dispose());
    endings = endings.then(() => ended);
  }

  /** Whether so many products are one thread's work. */
  isSmall(work: number): boolean {
    return work < this.#smallWork;
  }

  /** Bytes of packed weights of a product that has few tokens at most. */
  #fewRowsBytesOf({ x, w }: OpArgs["matmul"]): number {
    if (x.rows > FEW_ROWS || !isPacked(w.format)) return 0;
    return interleavedBytes(this.#kernels, w.format, w.rows, w.columns);
  }

  /** Lets timers and sockets of this thread have their turn, if the plans before left them none for a while. */
  async #giveTurn(): Promise<void> {
    if (performance.now() - this.#turnAt < TURN_MILLISECONDS) return;
    await nextTurn();
    this.#turnAt = performance.now();
  }

  /** Runs calls as a plan that is dropped afterwards. */
  #runOnce(calls: readonly Call[], small: boolean): void {
    const plan = this.#planOf(calls);
    this.#queue.add(() => this.#threads.run(plan, small));
    this.#queue.add(() => this.#heap.free(plan, planBytes(calls.length)));
  }

  #planOf(calls: readonly Call[]): number {
    const bytes = new Uint8Array(planBytes(calls.length));
    const address = this.#heap.allocate(bytes.length);
    writePlan(bytes, 0, calls);
    this.#space.put(address, bytes);
    return address;
  }

  #allocate(
    byteLength: number,
    { interleaved, zeroed }: { readonly interleaved: boolean; readonly zeroed: boolean },
  ): WasmMemory {
    this.#assertUsable();
    const memory = new WasmMemory(this.#heap.allocate(byteLength, zeroed), byteLength, interleaved);
    this.#live.add(memory);
    return memory;
  }

  #own(memory: Memory): WasmMemory {
    this.#assertUsable();
    if (!(memory instanceof WasmMemory) || !this.#live.has(memory))
      throw new CriaError("disposed", "the memory was freed, or belongs to another device");
    return memory;
  }

  #assertUsable(): void {
    if (this.#disposed) throw new CriaError("disposed", "the device was disposed");
  }

  #addressOf(tensor: Tensor): number {
    const { address, byteLength, interleaved } = this.#own(tensor.memory);
    const end =
      tensor.byteOffset + (tensor.rows - 1) * tensor.stride + rowBytes(tensor.format, tensor.columns);
    if (interleaved)
      throw new CriaError(
        "bad-input",
        "loaded weights can be a table or the w of a product, not other arguments",
      );
    if (tensor.byteOffset < 0 || tensor.rows < 1 || end > byteLength)
      throw new CriaError("bad-input", `a tensor ends at byte ${end} of a memory of ${byteLength} bytes`);
    return address + tensor.byteOffset;
  }

  #interleavedAddressOf(tensor: Tensor): number | undefined {
    const { address, byteLength, interleaved } = this.#own(tensor.memory);
    if (!interleaved) return undefined;
    const rowFirst = tensor.byteOffset / tensor.stride;
    if (rowFirst % 8 !== 0)
      throw new CriaError(
        "bad-input",
        `loaded weights lie in groups of 8 rows; a view starts at row ${rowFirst}`,
      );
    const start = interleavedBytes(this.#kernels, tensor.format, rowFirst, tensor.columns);
    const end = start + interleavedBytes(this.#kernels, tensor.format, tensor.rows, tensor.columns);
    if (end > byteLength)
      throw new CriaError("bad-input", `a tensor ends at byte ${end} of a memory of ${byteLength} bytes`);
    return address + start;
  }

  /** One place serves all calls, since they run one after the other. Recorded plans hold on to the one they had. */
  #scratchOf(byteLength: number): number {
    if (byteLength > this.#scratch.byteLength)
      this.#scratch = { address: this.#heap.allocate(byteLength), byteLength };
    return this.#scratch.address;
  }
}

/** Products or values of a call, about. */
function workOf<Name extends OpName>(name: Name, args: OpArgs[Name]): number {
  const sizes = Object.values(args).map((value) => (isTensor(value) ? value.rows * value.columns : 0));
  const total = sizes.reduce((sum, size) => sum + size, 0);
  return name === "matmul" ? total * (args as OpArgs["matmul"]).x.rows : total;
}

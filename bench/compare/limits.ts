/**
 * What the machine allows WebAssembly: bytes read from memory and int8 products in registers, on every thread at once.
 *
 * The loops are compiled from the text below with the project's own AssemblyScript and settings, and every thread runs
 * them on its own part of one shared memory, as the CPU device's threads do.
 */
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";

export interface Limits {
  /** GB/s of all threads together; in the faster of two orders. */
  readonly readGigabytes: number;
  /** Milliards of int8 products a second, all threads together; by the faster of the two instructions. */
  readonly productGiga: number;
}

export interface LimitMeter extends AsyncDisposable {
  measure(): Promise<Limits>;
}

/** Bytes for each thread: more than caches hold. */
const THREAD_BYTES = 192 << 20;
const PRODUCT_TURNS = 2_000_000;
/** Products of one turn of a loop: so many instructions of 16 each. */
const QUADS_TURN = 12 * 16;
const PAIRS_TURN = 8 * 16;

const SOURCE = `
export function read(from: usize, bytes: usize): i32 {
  let a = i32x4.splat(0), b = a, c = a, d = a;
  for (let at = from; at < from + bytes; at += 128) {
    a = v128.or(a, v128.or(v128.load(at), v128.load(at, 16)));
    b = v128.or(b, v128.or(v128.load(at, 32), v128.load(at, 48)));
    c = v128.or(c, v128.or(v128.load(at, 64), v128.load(at, 80)));
    d = v128.or(d, v128.or(v128.load(at, 96), v128.load(at, 112)));
  }
  return i32x4.extract_lane(v128.or(v128.or(a, b), v128.or(c, d)), 0);
}
// The same in another order, which some processors read faster: the lines of eight pages in turn.
export function readPages(from: usize, bytes: usize): i32 {
  let a = i32x4.splat(0), b = a, c = a, d = a;
  for (let strip = from; strip < from + bytes; strip += 32768)
    for (let line = strip; line < strip + 4096; line += 64)
      for (let at = line; at < line + 32768; at += 4096) {
        a = v128.or(a, v128.load(at)); b = v128.or(b, v128.load(at, 16));
        c = v128.or(c, v128.load(at, 32)); d = v128.or(d, v128.load(at, 48));
      }
  return i32x4.extract_lane(v128.or(v128.or(a, b), v128.or(c, d)), 0);
}
// Twelve sums, since some processors begin two of these in a cycle and end them five cycles later.
export function quads(turns: i32, at: usize): i32 {
  const x = v128.load(at), q = v128.load(at, 16);
  let a = i32x4.splat(0), b = a, c = a, d = a, e = a, f = a, g = a, h = a, i = a, j = a, k = a, l = a;
  for (let turn = 0; turn < turns; turn++) {
    a = i32x4.relaxed_dot_i8x16_i7x16_add_s(x, q, a); b = i32x4.relaxed_dot_i8x16_i7x16_add_s(x, q, b);
    c = i32x4.relaxed_dot_i8x16_i7x16_add_s(x, q, c); d = i32x4.relaxed_dot_i8x16_i7x16_add_s(x, q, d);
    e = i32x4.relaxed_dot_i8x16_i7x16_add_s(x, q, e); f = i32x4.relaxed_dot_i8x16_i7x16_add_s(x, q, f);
    g = i32x4.relaxed_dot_i8x16_i7x16_add_s(x, q, g); h = i32x4.relaxed_dot_i8x16_i7x16_add_s(x, q, h);
    i = i32x4.relaxed_dot_i8x16_i7x16_add_s(x, q, i); j = i32x4.relaxed_dot_i8x16_i7x16_add_s(x, q, j);
    k = i32x4.relaxed_dot_i8x16_i7x16_add_s(x, q, k); l = i32x4.relaxed_dot_i8x16_i7x16_add_s(x, q, l);
  }
  const first = i32x4.add(i32x4.add(i32x4.add(a, b), i32x4.add(c, d)), i32x4.add(i32x4.add(e, f), i32x4.add(g, h)));
  return i32x4.extract_lane(i32x4.add(first, i32x4.add(i32x4.add(i, j), i32x4.add(k, l))), 0);
}
export function pairs(turns: i32, at: usize): i32 {
  // Other factors in each turn, or the compiler would multiply once for all.
  let q = v128.load(at, 16);
  const one = i8x16.splat(1);
  const r = v128.load(at), s = v128.load(at, 32), t = v128.load(at, 48), u = v128.load(at, 64), v = v128.load(at, 80),
    w = v128.load(at, 96), x = v128.load(at, 112), y = v128.load(at, 128);
  let a = i16x8.splat(0), b = a, c = a, d = a;
  for (let turn = 0; turn < turns; turn++) {
    a = i16x8.add(a, v128.relaxed_dot<i16>(r, q)); b = i16x8.add(b, v128.relaxed_dot<i16>(s, q));
    c = i16x8.add(c, v128.relaxed_dot<i16>(t, q)); d = i16x8.add(d, v128.relaxed_dot<i16>(u, q));
    a = i16x8.add(a, v128.relaxed_dot<i16>(v, q)); b = i16x8.add(b, v128.relaxed_dot<i16>(w, q));
    c = i16x8.add(c, v128.relaxed_dot<i16>(x, q)); d = i16x8.add(d, v128.relaxed_dot<i16>(y, q));
    q = i8x16.add(q, one);
  }
  return i16x8.extract_lane_s(i16x8.add(i16x8.add(a, b), i16x8.add(c, d)), 0);
}
`;

interface Exports {
  read(from: number, bytes: number): number;
  readPages(from: number, bytes: number): number;
  quads(turns: number, at: number): number;
  pairs(turns: number, at: number): number;
}

const tasks = ["read", "readPages", "quads", "pairs"] as const;
type Task = (typeof tasks)[number];

interface ThreadData {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly thread: number;
}

/** Starts the threads; each measurement takes about a tenth of a second. */
export async function startLimitMeter(threadCount: number): Promise<LimitMeter> {
  const module = await WebAssembly.compile(await compile());
  const pages = (threadCount * THREAD_BYTES + 65536) / 65536;
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  // Written once, or its pages would all be the one page of zeros.
  new Uint8Array(memory.buffer).fill(1);
  const workers = Array.from({ length: threadCount }, (_, thread) => {
    return new Worker(new URL(import.meta.url), {
      workerData: { module, memory, thread } satisfies ThreadData,
    });
  });
  /** The time that the slowest thread takes. */
  const run = async (task: Task): Promise<number> => {
    const times = workers.map((worker) => {
      return new Promise<number>((resolve) => {
        worker.once("message", resolve);
        worker.postMessage(task);
      });
    });
    return Math.max(...(await Promise.all(times))) / 1000;
  };
  for (const task of tasks) await run(task);
  return {
    async measure() {
      const read = Math.min(
        await run("read"),
        await run("readPages"),
        await run("read"),
        await run("readPages"),
      );
      const products = Math.max(QUADS_TURN / (await run("quads")), PAIRS_TURN / (await run("pairs")));
      return {
        readGigabytes: (threadCount * THREAD_BYTES) / read / 1e9,
        productGiga: (threadCount * PRODUCT_TURNS * products) / 1e9,
      };
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(workers.map((worker) => worker.terminate()));
    },
  };
}

async function compile(): Promise<Uint8Array<ArrayBuffer>> {
  const { default: asc } = await import("assemblyscript/asc");
  let binary: Uint8Array<ArrayBuffer> | undefined;
  const memory = ["--importMemory", "--sharedMemory", "--initialMemory", "1", "--maximumMemory", "65536"];
  const { error, stderr } = await asc.main(
    [
      ...[
        "limits.ts",
        "--outFile",
        "limits.wasm",
        "-O3",
        "--noAssert",
        "--runtime",
        "stub",
        "--use",
        "abort=",
      ],
      ...[...memory, "--enable", "simd,relaxed-simd,threads,bulk-memory"],
    ],
    {
      readFile: (name) => (name === "limits.ts" ? SOURCE : null),
      writeFile: (_, contents) => {
        if (contents instanceof Uint8Array) binary = new Uint8Array(contents);
      },
      listFiles: () => [],
    },
  );
  if (error || !binary) throw new Error(`${error?.message}\n${stderr.toString()}`);
  return binary;
}

function serveThread({ module, memory, thread }: ThreadData): void {
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  const { read, readPages, quads, pairs } = exports as unknown as Exports;
  const from = 65536 + thread * THREAD_BYTES;
  parentPort?.on("message", (task: Task) => {
    const start = performance.now();
    if (task === "read") read(from, THREAD_BYTES);
    else if (task === "readPages") readPages(from, THREAD_BYTES);
    else if (task === "quads") quads(PRODUCT_TURNS, from);
    else pairs(PRODUCT_TURNS, from);
    parentPort?.postMessage(performance.now() - start);
  });
}

if (!isMainThread && parentPort) serveThread(workerData as ThreadData);

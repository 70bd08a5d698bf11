/**
 * sample: threads share the rows. Candidates are kept in a heap whose root is the worst of them, then sorted by taking
 * the root off again and again.
 *
 * Words: logits, stride, seeds, ids, stride, count, columns, temperature, candidates, scratch (a word a candidate and row).
 */
import { address, float, integer, shareFirst } from "./call";

export function sample(call: usize, thread: i32, threadCount: i32): void {
  const count = load<i32>(address(call, 6));
  const columns = integer(call, 7);
  const temperature = float(call, 8);
  const topK = integer(call, 9);
  const last = shareFirst(count, thread + 1, threadCount);
  for (let row = shareFirst(count, thread, threadCount); row < last; row++) {
    const logits = address(call, 1) + <usize>row * address(call, 2);
    const seed = load<u32>(address(call, 3) + (<usize>row << 2));
    const heap = address(call, 10) + ((<usize>row * <usize>topK) << 2);
    const id = temperature == 0 ? largestIndex(logits, columns) : draw(logits, columns, temperature, topK, seed, heap);
    store<i32>(address(call, 4) + <usize>row * address(call, 5), id);
  }
}

@inline
function logitOf(logits: usize, id: i32): f32 {
  return load<f32>(logits + (<usize>id << 2));
}

function largestIndex(logits: usize, columns: i32): i32 {
  let best = 0;
  for (let id = 1; id < columns; id++) if (logitOf(logits, id) > logitOf(logits, best)) best = id;
  return best;
}

/** Whether candidate `a` comes after `b`: a smaller logit, or the same and a larger id. */
@inline
function isWorse(logits: usize, a: i32, b: i32): bool {
  const left = logitOf(logits, a);
  const right = logitOf(logits, b);
  return left < right || (left == right && a > b);
}

/** Puts `id` at the root of a heap of `size` and lets it sink to its place. */
function sink(logits: usize, heap: usize, size: i32, id: i32): void {
  let hole = 0;
  while (true) {
    let child = 2 * hole + 1;
    if (child >= size) break;
    let worst = load<i32>(heap + (<usize>child << 2));
    if (child + 1 < size) {
      const other = load<i32>(heap + (<usize>(child + 1) << 2));
      if (isWorse(logits, other, worst)) {
        worst = other;
        child++;
      }
    }
    if (!isWorse(logits, worst, id)) break;
    store<i32>(heap + (<usize>hole << 2), worst);
    hole = child;
  }
  store<i32>(heap + (<usize>hole << 2), id);
}

/** Appends `id` to a heap of `size` and lets it rise to its place. */
function rise(logits: usize, heap: usize, size: i32, id: i32): void {
  let hole = size;
  while (hole > 0) {
    const parent = (hole - 1) >> 1;
    const above = load<i32>(heap + (<usize>parent << 2));
    if (!isWorse(logits, id, above)) break;
    store<i32>(heap + (<usize>hole << 2), above);
    hole = parent;
  }
  store<i32>(heap + (<usize>hole << 2), id);
}

function draw(logits: usize, columns: i32, temperature: f32, topK: i32, seed: u32, heap: usize): i32 {
  for (let id = 0; id < columns; id++) {
    if (id < topK) rise(logits, heap, id, id);
    else if (isWorse(logits, load<i32>(heap), id)) sink(logits, heap, topK, id);
  }
  // The worst goes to the end each time: the list ends up sorted, best first.
  for (let size = topK - 1; size > 0; size--) {
    const worst = load<i32>(heap);
    const id = load<i32>(heap + (<usize>size << 2));
    sink(logits, heap, size, id);
    store<i32>(heap + (<usize>size << 2), worst);
  }
  const largest = logitOf(logits, load<i32>(heap));
  let total: f64 = 0;
  for (let i = 0; i < topK; i++) total += weightOf(logits, heap, i, largest, temperature);
  let rest = (<f64>hashSeed(seed) / 4294967296.0) * total;
  for (let i = 0; i < topK; i++) {
    rest -= weightOf(logits, heap, i, largest, temperature);
    if (rest < 0) return load<i32>(heap + (<usize>i << 2));
  }
  return load<i32>(heap + (<usize>(topK - 1) << 2));
}

@inline
function weightOf(logits: usize, heap: usize, index: i32, largest: f32, temperature: f32): f64 {
  const logit = logitOf(logits, load<i32>(heap + (<usize>index << 2)));
  return NativeMath.exp((<f64>logit - <f64>largest) / <f64>temperature);
}

/** A bijective 32-bit mix, as in ops/sample.ts. */
function hashSeed(seed: u32): u32 {
  let h = seed;
  h = (h ^ (h >> 16)) * 0x7feb352d;
  h = (h ^ (h >> 15)) * 0x846ca68b;
  return h ^ (h >> 16);
}

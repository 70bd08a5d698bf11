/**
 * Reading memory ahead of its use. Loops that compute much for each byte have few loads in flight, so each line that is
 * not in a cache costs them most of the memory's delay; a loop that only loads has as many as the processor can keep.
 */

const LINE: usize = 64;

/** Brings `byteLength` bytes into the nearest cache. `sink` is a word to write, or compilers would leave the loads out. */
export function fetch(from: usize, byteLength: usize, sink: usize): void {
  let sum = 0;
  let at = from;
  const end = from + byteLength;
  for (; at + 4 * LINE <= end; at += 4 * LINE)
    sum += load<i32>(at) + load<i32>(at, LINE) + load<i32>(at, 2 * LINE) + load<i32>(at, 3 * LINE);
  // A whole word at a time, and nothing behind the last: the memory may end there.
  for (; at + 4 <= end; at += LINE) sum += load<i32>(at);
  store<i32>(sink, sum);
}

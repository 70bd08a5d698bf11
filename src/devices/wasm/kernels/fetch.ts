/**
 * Reading memory ahead of its use. Loops that compute much for each byte have few loads in flight, so each line that is
 * not in a cache costs them most of the memory's delay; a loop that only loads has as many as the processor can keep.
 */

const LINE: usize = 64;

/**
 * Brings as many bytes of two places into the nearest cache: halves of both in turns, since some processors read several
 * pages at once faster than one after the other (multiply-packed.ts). `sink` is a word to write, or compilers would leave the
 * loads out.
 */
export function fetchBoth(a: usize, aBytes: usize, b: usize, bBytes: usize, sink: usize): void {
  const aHalf = (aBytes >> 1) & -LINE;
  const bHalf = (bBytes >> 1) & -LINE;
  const half = min(aHalf, bHalf);
  let sum = 0;
  for (let at: usize = 0; at < half; at += LINE)
    sum += load<i32>(a + at) + load<i32>(a + aHalf + at) + load<i32>(b + at) + load<i32>(b + bHalf + at);
  sum += linesOf(a + half, a + aHalf) + linesOf(a + aHalf + half, a + aBytes);
  sum += linesOf(b + half, b + bHalf) + linesOf(b + bHalf + half, b + bBytes);
  store<i32>(sink, sum);
}

/** A word of each line, and nothing behind the end: the memory may end there. */
function linesOf(from: usize, end: usize): i32 {
  let sum = 0;
  for (let at = from; at + 4 <= end; at += LINE) sum += load<i32>(at);
  return sum;
}

/**
 * Reading weights of a product with one token ahead of their use, several pages at once.
 *
 * A processor reads ahead by itself, but only within a page of 4 KiB, and it can look past a missing line by no more than a
 * few hundred instructions: less than ten lines of 4-bit weights. So on some processors one stream through memory has
 * half the speed of eight. Which ones, the device finds out by timing (devices/wasm/read-ahead.ts).
 *
 * While a strip of eight pages is multiplied, one word of each line of the next strip is read: line 0 of all its pages,
 * then line 1, and so on. What is read is not used, so no result changes.
 *
 * A thread's state, in its scratch: 0 first byte of its weights   4 their end   8 the next line to read, as that of a
 * strip's first page   12 a sum of what was read, or compilers would leave the loads out
 */

const LINE: usize = 64;
const PAGE: usize = 4096;
const PAGES: usize = 8;
const STRIP: usize = PAGES * PAGE;

const FROM: usize = 0;
const END: usize = 4;
const NEXT: usize = 8;
const SINK: usize = 12;

/** Begins with the weights in [from, end): reads their first strip. */
export function startReadingAhead(state: usize, from: usize, end: usize): void {
  store<usize>(state, from, FROM);
  store<usize>(state, end, END);
  store<usize>(state, from, NEXT);
  readLines(state, from + PAGE);
}

/** Reads of the next strip as much as is multiplied of this one: the product has come to `at`. */
@inline
export function readAhead(state: usize, at: usize): void {
  const from = load<usize>(state, FROM);
  const within = (at - from) & (STRIP - 1);
  const strip = at - within + STRIP;
  if (load<usize>(state, NEXT) < strip) store<usize>(state, strip, NEXT);
  readLines(state, strip + min(within / PAGES + LINE, PAGE));
}

/**
 * Reads lines of all pages, until that of the first page is at `last`. Addresses at the end of a memory of 4 GiB may
 * overflow to small ones, which ends it too.
 */
function readLines(state: usize, last: usize): void {
  const end = load<usize>(state, END);
  let line = load<usize>(state, NEXT);
  let sum = 0;
  for (; line < last && line < end; line += LINE) {
    const left = end - line;
    if (left >= STRIP)
      sum +=
        load<i32>(line) +
        load<i32>(line, PAGE) +
        load<i32>(line, 2 * PAGE) +
        load<i32>(line, 3 * PAGE) +
        load<i32>(line, 4 * PAGE) +
        load<i32>(line, 5 * PAGE) +
        load<i32>(line, 6 * PAGE) +
        load<i32>(line, 7 * PAGE);
    else for (let page: usize = 0; page + 4 <= left; page += PAGE) sum += load<i32>(line + page);
  }
  store<usize>(state, line, NEXT);
  store<i32>(state, sum, SINK);
}

/** Reading a call's arguments, and a thread's share of its work. */

/** Argument `index` (from 1) as an integer. */
@inline
export function integer(call: usize, index: usize): i32 {
  return load<i32>(call + 4 * index);
}

/** Argument `index` as an address or a number of bytes. */
@inline
export function address(call: usize, index: usize): usize {
  return <usize>load<u32>(call + 4 * index);
}

@inline
export function float(call: usize, index: usize): f32 {
  return load<f32>(call + 4 * index);
}

/** Items of a piece, about: as many groups of rows as are multiplied side by side (multiply-packed.ts). */
const PIECE_ITEMS = 12;
/** Pieces of a thread, at most. */
const MOST_PIECES = 16;

/**
 * Into how many pieces a thread's part of `count` items is cut: enough that others can take some where it is held up.
 */
@inline
export function pieceCount(count: i32, threadCount: i32): i32 {
  return threadCount == 1 ? 1 : max(1, min(MOST_PIECES, count / (threadCount * PIECE_ITEMS)));
}

/** The first of `count` items that belong to a thread; its last lies before the first of the next thread. */
@inline
export function shareFirst(count: i32, thread: i32, threadCount: i32): i32 {
  return <i32>((<i64>count * thread) / threadCount);
}

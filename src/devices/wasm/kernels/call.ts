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

/**
 * Into how many pieces the threads cut a long call: enough that none waits long for another that was held up, few
 * enough that each reads memory as one stream.
 */
@inline
export function pieceCount(threadCount: i32): i32 {
  return threadCount == 1 ? 1 : 8 * threadCount;
}

/** The first of `count` items that belong to a thread; its last lies before the first of the next thread. */
@inline
export function shareFirst(count: i32, thread: i32, threadCount: i32): i32 {
  return <i32>((<i64>count * thread) / threadCount);
}

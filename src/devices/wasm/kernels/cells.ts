/** Where a position of a sequence lies in the cache: see tensor/step.ts. */

/**
 * Row of the cache that holds a position of head 0 of the sequence whose page list is at `pages`; `pageRows` is
 * key/value heads · page length.
 */
@inline
export function cellOf(pages: usize, position: i32, pageLength: i32, pageRows: i32): usize {
  const page = load<i32>(pages + (<usize>(position / pageLength) << 2));
  return <usize>(page * pageRows + position % pageLength);
}

/** Where a position of a sequence lies in the cache: see tensor/step.ts. */

/** Row of the cache that holds a position of head 0 of the sequence whose page list is at `pages`. */
@inline
export function cellOf(pages: usize, pageLength: i32, kvHeads: i32, position: i32): i32 {
  const page = load<i32>(pages + (<usize>(position / pageLength) << 2));
  return page * kvHeads * pageLength + (position % pageLength);
}

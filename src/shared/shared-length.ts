/** How many ids at the start of two lists are the same: `sharedLength([1, 2, 3], [1, 2, 4, 5])` is 2. */
export function sharedLength(a: readonly number[], b: readonly number[]): number {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length++;
  return length;
}

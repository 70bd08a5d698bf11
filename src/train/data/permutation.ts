/**
 * A shuffle that needs no list: the place of item n in a random order of `count` items, from a seed.
 *
 * A Feistel network of four rounds permutes the next power of four above count; what falls outside is permuted again.
 *
 * Source: Luby & Rackoff 1988; cycle walking, Black & Rogaway 2002.
 */

/** A permutation of 0 … count − 1. */
export function permuted(index: number, count: number, seed: number): number {
  if (count <= 1) return 0;
  let bits = 1;
  while (4 ** bits < count) bits++;
  const mask = 2 ** bits - 1;
  let value = index;
  do {
    let left = Math.floor(value / (mask + 1));
    let right = value & mask;
    for (let round = 0; round < 4; round++) {
      const next = (left ^ mix(right, seed, round)) & mask;
      left = right;
      right = next;
    }
    value = left * (mask + 1) + right;
  } while (value >= count);
  return value;
}

/** 32 bits from three numbers: the finaliser of MurmurHash3 over their sum of products. */
function mix(value: number, seed: number, round: number): number {
  let hash =
    Math.imul(value + 1, 0x9e3779b1) ^ Math.imul(seed + 1, 0x85ebca6b) ^ Math.imul(round + 1, 0xc2b2ae35);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

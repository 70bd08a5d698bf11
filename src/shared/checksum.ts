/**
 * Goes on with a checksum over bytes, of which up to 3 at the end count as a word filled up with zeros: 32 bits in the manner
 * of FNV-1a, a word at a time, that tell damage and mistakes, not malice.
 */
export function checksumOf(bytes: Uint8Array, start = 0x811c9dc5): number {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >> 2);
  let sum = start;
  for (let i = 0; i < words.length; i++) sum = next(sum, words[i]);
  let last = 0;
  for (let i = 4 * words.length; i < bytes.length; i++) last = (last << 8) | bytes[i];
  if (bytes.length % 4 !== 0) sum = next(sum, last);
  return sum >>> 0;
}

function next(sum: number, word: number): number {
  return Math.imul((sum << 5) ^ (sum >>> 27) ^ word, 0x01000193);
}

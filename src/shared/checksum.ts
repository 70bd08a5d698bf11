/**
 * Goes on with a checksum over bytes whose number is a multiple of 4: 32 bits in the manner of FNV-1a, a word at a time, that
 * tell damage and mistakes, not malice.
 */
export function checksumOf(bytes: Uint8Array, start = 0x811c9dc5): number {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >> 2);
  let sum = start;
  for (let i = 0; i < words.length; i++) sum = Math.imul((sum << 5) ^ (sum >>> 27) ^ words[i], 0x01000193);
  return sum >>> 0;
}

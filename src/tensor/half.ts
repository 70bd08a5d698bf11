/**
 * Sixteen-bit floats: IEEE half precision (F16) and the upper half of an f32 (BF16), as bits in unsigned integers.
 *
 * Source: IEEE 754-2008 binary16; rounding to nearest, ties to even.
 */

const floats = new Float32Array(1);
const bits = new Uint32Array(floats.buffer);

/** The f32 value of every F16 bit pattern, [65536]: a look-up costs less than taking the pattern apart. */
const halfToFloatTable: Float32Array = makeTable();

/** The value of an F16 bit pattern. */
export function halfToFloat(half: number): number {
  return halfToFloatTable[half];
}

/** The value of an F16 among bytes, low byte first. */
export function halfAt(bytes: Uint8Array, byte: number): number {
  return halfToFloatTable[bytes[byte] | (bytes[byte + 1] << 8)];
}

/** The nearest F16 of an f32 (another number is rounded to f32 first), as bits; infinity from ±65520 on. */
export function floatToHalf(value: number): number {
  floats[0] = value;
  const sign = (bits[0] >>> 16) & 0x8000;
  const magnitude = bits[0] & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00; // not a number
  if (magnitude >= 0x477ff000) return sign | 0x7c00; // rounds to 65536 or more
  if (magnitude < 0x38800000) {
    // Below 2⁻¹⁴ the step is 2⁻²⁴: the integer nearest to value · 2²⁴, ties to even, are the bits.
    floats[0] = Math.abs(value);
    const steps = floats[0] * 2 ** 24;
    const low = Math.floor(steps);
    const rest = steps - low;
    return sign | (rest > 0.5 || (rest === 0.5 && low % 2 === 1) ? low + 1 : low);
  }
  const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1);
  return sign | ((rounded - 0x38000000) >>> 13);
}

/** The nearest F16 of each of an array, as bits, into an array of the same length. */
export function floatsToHalves(values: Float32Array, halves: Uint16Array): void {
  for (let i = 0; i < values.length; i++) halves[i] = floatToHalf(values[i]);
}

/** The value of a BF16 bit pattern. */
export function bfloatToFloat(bfloat: number): number {
  bits[0] = bfloat << 16;
  return floats[0];
}

/** The nearest BF16 of an f32 (another number is rounded to f32 first), as bits. */
export function floatToBfloat(value: number): number {
  floats[0] = value;
  if (Number.isNaN(value)) return (bits[0] >>> 16) | 0x40;
  return (bits[0] + 0x7fff + ((bits[0] >>> 16) & 1)) >>> 16;
}

/** The nearest BF16 of each of an array, as bits, into an array of the same length. */
export function floatsToBfloats(values: Float32Array, bfloats: Uint16Array): void {
  for (let i = 0; i < values.length; i++) bfloats[i] = floatToBfloat(values[i]);
}

function makeTable(): Float32Array {
  return Float32Array.from({ length: 65536 }, (_, half) => {
    const sign = half & 0x8000 ? -1 : 1;
    const exponent = (half >>> 10) & 31;
    const fraction = half & 1023;
    if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
    return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
  });
}

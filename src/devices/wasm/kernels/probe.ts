/**
 * What the processor makes of the dot products, found out by computing: an engine may accept an instruction and still
 * compute it wrongly, and some processors take a second factor of 8 bits where 7 are promised.
 */
import { pairs, quads } from "./dots";

/** 1 + four products of x and q, both int8, in 32 bits. */
export function probeQuads(x: i32, q: i32): i32 {
  return i32x4.extract_lane(quads(i32x4.splat(1), i8x16.splat(<i8>x), i8x16.splat(<i8>q)), 2);
}

/** Two products of x and q, both int8, in 16 bits. */
export function probePairs(x: i32, q: i32): i32 {
  return i16x8.extract_lane_s(pairs(i8x16.splat(<i8>x), i8x16.splat(<i8>q)), 5);
}

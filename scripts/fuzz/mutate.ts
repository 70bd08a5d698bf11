/**
 * Breaks files: a mutant is a seed with one to eight changes, each of a kind that has broken readers before.
 *
 * Flow: target.ts (seeds) → mutantOf → run.ts.
 * Source: the mutations of AFL (lcamtuf.coredump.cx/afl/technical_details.txt), with integers set to limits.
 */
import { Random } from "./random.ts";

/** Mutants stay small, so that a run is quick. */
const LONGEST_GROWTH = 4096;

type Mutation = (bytes: Uint8Array, random: Random, context: Context) => Uint8Array;

interface Context {
  readonly seeds: readonly Uint8Array[];
  readonly tokens: readonly Uint8Array[];
}

/** The mutant of number `index`. Seeds take turns, so each is the start of as many. */
export function mutantOf(
  seeds: readonly Uint8Array[],
  tokens: readonly string[],
  seed: number,
  index: number,
): Uint8Array {
  const random = new Random(seed, index);
  const context = {
    seeds,
    tokens: tokens.map((token) => Uint8Array.from(token, (byte) => byte.charCodeAt(0))),
  };
  let bytes = (seeds[index % seeds.length] as Uint8Array).slice();
  const longest = bytes.length + LONGEST_GROWTH;
  do {
    bytes = random.pick(MUTATIONS)(bytes, random, context).slice(0, longest);
  } while (random.chance(0.55));
  return bytes;
}

function flipBit(bytes: Uint8Array, random: Random): Uint8Array {
  if (bytes.length > 0) (bytes[place(bytes, random)] as number) ^= 1 << random.below(8);
  return bytes;
}

function setByte(bytes: Uint8Array, random: Random): Uint8Array {
  if (bytes.length > 0)
    bytes[place(bytes, random)] = random.chance(0.5)
      ? random.below(256)
      : random.pick([0, 1, 0x7f, 0x80, 0xff]);
  return bytes;
}

/** Sets an integer of 2, 4 or 8 bytes, often at a multiple of its size, to a limit or to a neighbour of its value. */
function setInteger(bytes: Uint8Array, random: Random): Uint8Array {
  const size = random.pick([2, 4, 4, 8]);
  if (bytes.length < size) return bytes;
  let at = Math.min(place(bytes, random), bytes.length - size);
  if (random.chance(0.5)) at -= at % size;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const little = random.chance(0.9);
  const old = readInteger(view, at, size, little);
  const bits = BigInt(8 * size);
  const value = random.pick([
    0n,
    -1n,
    1n,
    (1n << (bits - 1n)) - 1n,
    1n << (bits - 1n),
    1n << 31n,
    (1n << 32n) - 1n,
    1n << 53n,
    old + 1n,
    old - 1n,
    old * 2n,
    -old,
    old ^ (1n << BigInt(random.below(8 * size))),
    BigInt(bytes.length),
    BigInt(bytes.length - at),
    BigInt(random.below(1 << 20)),
  ]);
  writeInteger(view, at, size, value, little);
  return bytes;
}

function cutEnd(bytes: Uint8Array, random: Random): Uint8Array {
  return bytes.slice(0, random.chance(0.5) ? random.below(bytes.length + 1) : bytes.length - random.below(9));
}

function remove(bytes: Uint8Array, random: Random): Uint8Array {
  const at = place(bytes, random);
  return join(bytes.subarray(0, at), bytes.subarray(at + length(random)));
}

function insertRandom(bytes: Uint8Array, random: Random): Uint8Array {
  const at = place(bytes, random);
  const fill = random.below(256);
  const varied = random.chance(0.5);
  const middle = Uint8Array.from({ length: length(random) }, () => (varied ? random.below(256) : fill));
  return join(bytes.subarray(0, at), middle, bytes.subarray(at));
}

/** Copies a piece of the file to another place, over what is there or between. */
function copyPiece(bytes: Uint8Array, random: Random): Uint8Array {
  const from = place(bytes, random);
  const piece = bytes.slice(from, from + length(random));
  const at = place(bytes, random);
  return join(bytes.subarray(0, at), piece, bytes.subarray(random.chance(0.5) ? at : at + piece.length));
}

/** Repeats a piece many times: nesting, long lists. */
function repeatPiece(bytes: Uint8Array, random: Random): Uint8Array {
  const from = place(bytes, random);
  const piece = bytes.slice(from, from + 1 + random.below(16));
  const copies = new Array<Uint8Array>(1 + random.below(256)).fill(piece);
  return join(bytes.subarray(0, from), ...copies, bytes.subarray(from));
}

/** The head of this file and the tail of another seed. */
function splice(bytes: Uint8Array, random: Random, { seeds }: Context): Uint8Array {
  const other = random.pick(seeds);
  const at = place(bytes, random);
  return join(bytes.subarray(0, at), other.subarray(random.chance(0.5) ? at : place(other, random)));
}

function putToken(bytes: Uint8Array, random: Random, { tokens }: Context): Uint8Array {
  if (tokens.length === 0) return setInteger(bytes, random);
  const token = random.pick(tokens);
  const at = place(bytes, random);
  return join(bytes.subarray(0, at), token, bytes.subarray(random.chance(0.5) ? at : at + token.length));
}

const MUTATIONS: readonly Mutation[] = [
  flipBit,
  flipBit,
  setByte,
  setByte,
  setInteger,
  setInteger,
  setInteger,
  setInteger,
  cutEnd,
  remove,
  insertRandom,
  copyPiece,
  repeatPiece,
  splice,
  putToken,
  putToken,
];

/** A place in the file, half of the time near its start or its end, where headers and directories lie. */
function place(bytes: Uint8Array, random: Random): number {
  const near = Math.min(bytes.length, 256);
  if (random.chance(0.35)) return random.below(near);
  if (random.chance(0.25)) return bytes.length - 1 - random.below(near);
  return random.below(bytes.length);
}

function length(random: Random): number {
  return 1 + random.below(random.pick([4, 16, 256]));
}

function join(...pieces: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

function readInteger(view: DataView, at: number, size: number, little: boolean): bigint {
  if (size === 2) return BigInt(view.getUint16(at, little));
  return size === 4 ? BigInt(view.getUint32(at, little)) : view.getBigUint64(at, little);
}

function writeInteger(view: DataView, at: number, size: number, value: bigint, little: boolean): void {
  if (size === 2) view.setUint16(at, Number(BigInt.asUintN(16, value)), little);
  else if (size === 4) view.setUint32(at, Number(BigInt.asUintN(32, value)), little);
  else view.setBigUint64(at, BigInt.asUintN(64, value), little);
}

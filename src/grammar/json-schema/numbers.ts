/**
 * Numbers in a range, and multiples of a number, as automata over digits.
 *
 * A decimal with k digits after the point is a whole number N with a point put into it, so a range of decimals is a
 * range of N for each k, and "multiple of m" is a remainder that the automaton carries along.
 *
 *   state (digits left, remainder, still equal to the lower bound's digits?, to the upper bound's?)
 */
import { CriaError } from "../../shared/errors.ts";
import { characterSet } from "../character-set.ts";
import {
  characters,
  choice,
  type Expression,
  type GraphEdge,
  literal,
  never,
  sequence,
} from "../expression.ts";

export interface NumberRange {
  readonly integer: boolean;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly multipleOf?: number;
  /** Bounds that a double may not be able to say. */
  readonly lowest?: bigint;
  readonly highest?: bigint;
}

/**
 * Numbers are written with up to this many digits, of which up to six are decimals if no bound has more; integers with
 * more where their bounds say so, up to 10²².
 */
const mostDigits = 15;
const usualDecimals = 6;
const mostDecimals = 12;
const stateLimit = 30_000;

/** @throws {CriaError} "unsupported" when a bound or a multiple has too many digits; the message goes on a pointer. */
export function numberInRange(range: NumberRange): Expression {
  const bounds = [range.minimum, range.maximum, range.exclusiveMinimum, range.exclusiveMaximum];
  const multiple = range.multipleOf === undefined ? undefined : decimalOf(range.multipleOf);
  let decimals = 0;
  if (!range.integer) {
    const wanted = Math.max(
      usualDecimals,
      ...bounds.map((bound) => (bound === undefined ? 0 : decimalOf(bound).scale)),
    );
    decimals = multiple ? multiple.scale : Math.min(wanted, mostDecimals);
  }
  if (decimals > mostDecimals)
    throw new CriaError("unsupported", `a number with ${decimals} decimals; ${mostDecimals} are supported`);
  const options: Expression[] = [];
  for (let scale = 0; scale <= decimals; scale++) options.push(scaled(range, scale, multiple));
  return choice(...options);
}

/** Numbers written with exactly `scale` decimals. */
function scaled(range: NumberRange, scale: number, multiple: Decimal | undefined): Expression {
  const limit = 10n ** BigInt(mostDigits) - 1n;
  const explicit = range.integer ? 10n ** 22n : limit;
  const lows: bigint[] = [];
  const highs: bigint[] = [];
  if (range.minimum !== undefined) lows.push(ceiling(decimalOf(range.minimum), scale));
  if (range.exclusiveMinimum !== undefined) lows.push(floor(decimalOf(range.exclusiveMinimum), scale) + 1n);
  if (range.maximum !== undefined) highs.push(floor(decimalOf(range.maximum), scale));
  if (range.exclusiveMaximum !== undefined)
    highs.push(ceiling(decimalOf(range.exclusiveMaximum), scale) - 1n);
  if (range.lowest !== undefined) lows.push(range.lowest);
  if (range.highest !== undefined) highs.push(range.highest);
  let low = largest(lows, -limit);
  let high = smallest(highs, limit);
  if (low < -explicit) low = -explicit;
  if (high > explicit) high = explicit;
  let modulus = 1n;
  if (multiple) {
    const factor = 10n ** BigInt(Math.max(0, multiple.scale - scale));
    modulus = multiple.digits / gcd(multiple.digits, factor);
    if (scale > multiple.scale) modulus *= 10n ** BigInt(scale - multiple.scale);
  }
  if (modulus > 1_000_000n)
    throw new CriaError(
      "unsupported",
      `multiples of ${modulus} need too many states; up to 1000000 are supported`,
    );
  const options: Expression[] = [];
  if (high >= 0n) options.push(digitsBetween(low > 0n ? low : 0n, high, Number(modulus), scale));
  if (low < 0n)
    options.push(sequence(literal("-"), digitsBetween(high < 0n ? -high : 1n, -low, Number(modulus), scale)));
  return options.length === 0 ? never : choice(...options);
}

/** The whole numbers from `low` to `high` that the modulus divides, written with a point before the last `scale`. */
function digitsBetween(low: bigint, high: bigint, modulus: number, scale: number): Expression {
  if (low > high) return never;
  const edges: GraphEdge[] = [];
  const states = new Map<string, number>();
  const work: (() => void)[] = [];
  const end = 1;
  let stateCount = 2;
  const state = (left: number, remainder: number, lower: string, upper: string): number => {
    if (left === 0) return remainder === 0 ? end : -1;
    if (/^0*$/.test(lower)) lower = "";
    if (/^9*$/.test(upper)) upper = "";
    const key = `${left},${remainder},${lower},${upper}`;
    const known = states.get(key);
    if (known !== undefined) return known;
    const made = stateCount++;
    if (made > stateLimit)
      throw new CriaError("unsupported", `multiples of ${modulus} in so wide a range need too many states`);
    states.set(key, made);
    work.push(() => expand(made, left, remainder, lower, upper, false));
    return made;
  };
  // `lower` and `upper`: the digits still to match while the number equals the bound so far, "" once it is inside.
  const expand = (
    from: number,
    left: number,
    remainder: number,
    lower: string,
    upper: string,
    noZero: boolean,
  ) => {
    const first = lower === "" ? 0 : Number(lower[0]);
    const last = upper === "" ? 9 : Number(upper[0]);
    const byTarget = new Map<number, number[]>();
    for (let digit = noZero ? Math.max(1, first) : first; digit <= last; digit++) {
      const rest = (remainder * 10 + digit) % modulus;
      const target = state(
        left - 1,
        rest,
        lower !== "" && digit === first ? lower.slice(1) : "",
        upper !== "" && digit === last ? upper.slice(1) : "",
      );
      if (target < 0) continue;
      const digits = byTarget.get(target) ?? [];
      digits.push(0x30 + digit, 0x30 + digit);
      byTarget.set(target, digits);
    }
    for (const [to, digits] of byTarget) {
      const set = characters(characterSet(...digits));
      edges.push({ from, to, label: left === scale ? sequence(literal("."), set) : set });
    }
  };
  for (let length = scale + 1; length <= String(high).length || length === scale + 1; length++) {
    const least = length === scale + 1 ? 0n : 10n ** BigInt(length - 1);
    const most = 10n ** BigInt(length) - 1n;
    const from = low > least ? low : least;
    const to = high < most ? high : most;
    if (from > to) continue;
    const lower = String(from).padStart(length, "0");
    const upper = String(to).padStart(length, "0");
    expand(0, length, 0, lower, upper, length > scale + 1);
  }
  for (let next = work.pop(); next; next = work.pop()) next();
  return { kind: "graph", stateCount, end, edges };
}

/** digits · 10^−scale, without trailing zeros. */
interface Decimal {
  readonly digits: bigint;
  readonly scale: number;
}

/** A whole number as it is, and else the number that the shortest text of a double names. */
function decimalOf(value: number): Decimal {
  if (Number.isInteger(value)) return { digits: BigInt(value), scale: 0 };
  const [, sign, whole, fraction = "", exponent = "0"] = /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/.exec(
    String(value),
  ) as unknown as string[];
  let digits = BigInt(whole + fraction);
  let scale = fraction.length - Number(exponent);
  while (scale > 0 && digits % 10n === 0n) {
    digits /= 10n;
    scale--;
  }
  if (scale < 0) {
    digits *= 10n ** BigInt(-scale);
    scale = 0;
  }
  return { digits: sign === "-" ? -digits : digits, scale };
}

function floor({ digits, scale }: Decimal, to: number): bigint {
  if (to >= scale) return digits * 10n ** BigInt(to - scale);
  const divisor = 10n ** BigInt(scale - to);
  const quotient = digits / divisor;
  return digits < 0n && quotient * divisor !== digits ? quotient - 1n : quotient;
}

function ceiling({ digits, scale }: Decimal, to: number): bigint {
  return -floor({ digits: -digits, scale }, to);
}

function largest(values: readonly bigint[], fallback: bigint): bigint {
  return values.length === 0 ? fallback : values.reduce((a, b) => (a > b ? a : b));
}

function smallest(values: readonly bigint[], fallback: bigint): bigint {
  return values.length === 0 ? fallback : values.reduce((a, b) => (a < b ? a : b));
}

function gcd(a: bigint, b: bigint): bigint {
  return b === 0n ? a : gcd(b, a % b);
}

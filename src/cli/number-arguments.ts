/** Parsers of option values, with messages that say what was expected. */
import { InvalidArgumentError } from "commander";
import { type CacheFormat, cacheFormats } from "../ops/store.ts";

/** A parser of whole numbers from `minimum` to `maximum`. */
export function integer(
  minimum: number,
  maximum: number = Number.MAX_SAFE_INTEGER,
): (text: string) => number {
  return (text) => {
    const value = /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= minimum && value <= maximum))
      throw new InvalidArgumentError(
        maximum === Number.MAX_SAFE_INTEGER
          ? `Expected a whole number of at least ${minimum}.`
          : `Expected a whole number from ${minimum} to ${maximum}.`,
      );
    return value;
  };
}

/** A parser of numbers from `minimum` to `maximum`. */
export function decimal(
  minimum: number,
  maximum: number = Number.POSITIVE_INFINITY,
): (text: string) => number {
  return (text) => {
    const value = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : Number.NaN;
    if (!(value >= minimum && value <= maximum))
      throw new InvalidArgumentError(`Expected ${range(minimum, maximum)}.`);
    return value;
  };
}

function range(minimum: number, maximum: number): string {
  if (maximum !== Number.POSITIVE_INFINITY) return `a number from ${minimum} to ${maximum}`;
  return minimum === Number.NEGATIVE_INFINITY ? "a number" : `a number of at least ${minimum}`;
}

/** Parses llama.cpp's name of a cache's format: `f16`, `q8_0`. */
export function cacheFormat(text: string): CacheFormat {
  const found = cacheFormats.find((format) => format.toLowerCase() === text.toLowerCase());
  if (found === undefined)
    throw new InvalidArgumentError(
      `Expected ${cacheFormats.map((format) => format.toLowerCase()).join(" or ")}.`,
    );
  return found;
}

/** A parser of llama.cpp's logit biases, `15043+1` or `29905-inf`, that collects over repeated options. */
export function logitBias(
  text: string,
  earlier: ReadonlyMap<number, number> = new Map(),
): Map<number, number> {
  const parts = /^(\d+)(-inf|[+-](?:\d+\.?\d*|\.\d+))$/i.exec(text);
  if (!parts)
    throw new InvalidArgumentError("Expected TOKEN_ID+BIAS or TOKEN_ID-BIAS, such as 15043+1 or 29905-inf.");
  const [, id, bias] = parts;
  return new Map(earlier).set(
    Number(id),
    bias.toLowerCase() === "-inf" ? Number.NEGATIVE_INFINITY : Number(bias),
  );
}

/** Collects the values of a repeatable option. */
export function collect(value: string, earlier: readonly string[] = []): string[] {
  return [...earlier, value];
}

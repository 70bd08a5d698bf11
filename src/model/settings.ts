/**
 * Typed access to the settings of a model file, with errors that name the key.
 */
import { CriaError } from "../shared/errors.ts";

export class Settings {
  readonly #where: string;
  readonly #values: ReadonlyMap<string, unknown>;

  constructor(where: string, values: ReadonlyMap<string, unknown>) {
    this.#where = where;
    this.#values = values;
  }

  has(key: string): boolean {
    return this.#values.get(key) !== undefined && this.#values.get(key) !== null;
  }

  /** @throws {CriaError} code "bad-file" when the key is missing (and there is no fallback) or not a number. */
  number(key: string, fallback?: number): number {
    if (!this.has(key) && fallback !== undefined) return fallback;
    const value = this.#values.get(key);
    if (typeof value !== "number") throw this.#wrong(key, "a number", value);
    return value;
  }

  /** @throws {CriaError} code "bad-file" when the key is missing or not a number that a text could hold. */
  finite(key: string): number {
    const value = this.number(key);
    if (!Number.isFinite(value)) throw this.#wrong(key, "a finite number", value);
    return value;
  }

  text(key: string, fallback?: string): string {
    if (!this.has(key) && fallback !== undefined) return fallback;
    const value = this.#values.get(key);
    if (typeof value !== "string") throw this.#wrong(key, "text", value);
    return value;
  }

  flag(key: string, fallback: boolean): boolean {
    if (!this.has(key)) return fallback;
    const value = this.#values.get(key);
    if (typeof value !== "boolean") throw this.#wrong(key, "true or false", value);
    return value;
  }

  /** The settings under a key; undefined when it is missing or null. */
  section(key: string): Settings | undefined {
    if (!this.has(key)) return undefined;
    const value = this.#values.get(key);
    if (typeof value !== "object" || value === null) throw this.#wrong(key, "an object", value);
    return new Settings(`${this.#where}: ${key}`, new Map(Object.entries(value)));
  }

  /** How many entries a list has; 0 when it is missing. */
  count(key: string): number {
    const value = this.#values.get(key);
    return Array.isArray(value) ? value.length : 0;
  }

  unsupported(key: string, value: unknown, expected: string): CriaError {
    return new CriaError(
      "unsupported",
      `${this.#where}: ${key} is ${JSON.stringify(value)}; Cria can do ${expected}`,
    );
  }

  #wrong(key: string, expected: string, value: unknown): CriaError {
    const came = value === undefined ? "nothing" : typeof value === "object" ? "an object" : String(value);
    return new CriaError("bad-file", `${this.#where}: ${key} should be ${expected}, but is ${came}`);
  }
}

/**
 * A checked view of parsed JSON: an object that knows its path, for messages that say where a file is wrong.
 *
 * Flow: from-json.ts, json-pipeline.ts → JsonPart → values.
 */
import { CriaError } from "../shared/errors.ts";

export type Json = string | number | boolean | null | readonly Json[] | JsonRecord;
export interface JsonRecord {
  readonly [key: string]: Json | undefined;
}

export function isRecord(value: Json | undefined): value is JsonRecord {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function entriesOf(record: JsonRecord): [string, Json][] {
  return Object.entries(record) as [string, Json][];
}

export class JsonPart {
  readonly value: JsonRecord;
  readonly #path: string;

  constructor(value: JsonRecord, path: string) {
    this.value = value;
    this.#path = path;
  }

  /** @throws {CriaError} code "bad-file" unless the text is a JSON object. */
  static parse(text: string, source: string): JsonPart {
    let value: Json;
    try {
      value = JSON.parse(text) as Json;
    } catch (error) {
      throw new CriaError("bad-file", `${source}: expected JSON`, { cause: error });
    }
    if (!isRecord(value)) throw new CriaError("bad-file", `${source}: expected a JSON object`);
    return new JsonPart(value, source);
  }

  /** The object under a key. */
  part(key: string): JsonPart {
    const value = this.value[key];
    if (!isRecord(value)) throw this.bad(`expected an object under ${JSON.stringify(key)}`);
    return new JsonPart(value, `${this.#path}.${key}`);
  }

  /** The objects of a list; none when the key is absent. */
  list(key: string): JsonPart[] {
    const value = this.value[key] ?? [];
    if (!Array.isArray(value)) throw this.bad(`expected a list under ${JSON.stringify(key)}`);
    return value.map((item: Json, index) => {
      if (!isRecord(item)) throw this.bad(`expected an object as item ${index} of ${JSON.stringify(key)}`);
      return new JsonPart(item, `${this.#path}.${key}[${index}]`);
    });
  }

  string(key: string): string {
    const value = this.optionalString(key);
    if (value === undefined) throw this.bad(`expected a string under ${JSON.stringify(key)}`);
    return value;
  }

  optionalString(key: string): string | undefined {
    const value = this.value[key] ?? undefined;
    if (value !== undefined && typeof value !== "string")
      throw this.bad(`expected a string under ${JSON.stringify(key)}`);
    return value;
  }

  optionalBoolean(key: string): boolean | undefined {
    const value = this.value[key] ?? undefined;
    if (value !== undefined && typeof value !== "boolean")
      throw this.bad(`expected true or false under ${JSON.stringify(key)}`);
    return value;
  }

  bad(message: string): CriaError {
    return new CriaError("bad-file", `${this.#path}: ${message}`);
  }

  unsupported(message: string): CriaError {
    return new CriaError("unsupported", `${this.#path}: ${message}`);
  }
}

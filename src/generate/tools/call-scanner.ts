/**
 * Reads one tool call, `{"name": "f", "arguments": {…}}`, character by character, and knows its name and the text of its
 * arguments as soon as they are there. Llama 3's templates write "parameters" for "arguments".
 *
 * Flow: tool-parser.ts (characters) → CallScanner → name, pieces of the arguments.
 */

/** What the text so far is: perhaps a call, a whole call, or none. */
export type ScanState = "open" | "complete" | "failed";

const NAME_KEYS = new Set(["name", "function"]);
const ARGUMENT_KEYS = new Set(["arguments", "parameters"]);

export class CallScanner {
  state: ScanState = "open";
  name: string | undefined;
  /** The text of the arguments so far: JSON, as the model wrote it. */
  argumentsText = "";
  /** All that was read. */
  text = "";
  #depth = 0;
  #inString = false;
  #escaped = false;
  /** What the next value at the top belongs to. */
  #key: string | undefined;
  /** Where a key or value at the top begins in `text`. */
  #start = -1;
  #expectsKey = true;
  /** The arguments came as a string that holds JSON. */
  #argumentsQuoted = false;

  /** Takes characters until the call is complete; gives how many it took. */
  push(piece: string): number {
    for (let at = 0; at < piece.length; at++) {
      if (this.state !== "open") return at;
      this.#take(piece[at]);
    }
    return piece.length;
  }

  #take(character: string): void {
    this.text += character;
    const inArguments = this.#depth > 0 && this.#inValueOf(ARGUMENT_KEYS);
    if (this.#inString) {
      if (inArguments) this.argumentsText += character;
      if (this.#escaped) this.#escaped = false;
      else if (character === "\\") this.#escaped = true;
      else if (character === '"') {
        this.#inString = false;
        if (this.#depth === 1) this.#endTopString();
      }
      return;
    }
    if (this.#depth === 0 && character !== "{") {
      this.state = "failed";
      return;
    }
    switch (character) {
      case '"':
        this.#inString = true;
        if (this.#depth === 1) this.#start = this.text.length - 1;
        if (inArguments) this.argumentsText += character;
        if (inArguments && this.#depth === 1) this.#argumentsQuoted = true;
        break;
      case "{":
      case "[":
        if (inArguments) this.argumentsText += character;
        this.#depth++;
        break;
      case "}":
      case "]":
        this.#depth--;
        if (this.#depth > 0 && inArguments) this.argumentsText += character;
        if (this.#depth === 0) this.#finish();
        break;
      case ",":
        if (this.#depth === 1) {
          this.#key = undefined;
          this.#expectsKey = true;
        } else if (inArguments) this.argumentsText += character;
        break;
      case ":":
        if (this.#depth === 1) this.#expectsKey = false;
        else if (inArguments) this.argumentsText += character;
        break;
      default:
        // White space between key and value is no part of the value.
        if (inArguments && (this.#depth > 1 || character.trim() !== "")) this.argumentsText += character;
    }
  }

  #inValueOf(keys: ReadonlySet<string>): boolean {
    return !this.#expectsKey && this.#key !== undefined && keys.has(this.#key);
  }

  #endTopString(): void {
    const value = parseString(this.text.slice(this.#start));
    if (value === undefined) this.state = "failed";
    else if (this.#expectsKey) this.#key = value;
    else if (this.#key !== undefined && NAME_KEYS.has(this.#key)) this.name = value;
  }

  #finish(): void {
    try {
      JSON.parse(this.text);
    } catch {
      this.state = "failed";
      return;
    }
    if (this.#argumentsQuoted) this.argumentsText = parseString(this.argumentsText) ?? "";
    if (this.argumentsText === "" || this.argumentsText === "null") this.argumentsText = "{}";
    this.state = this.name === undefined || !isObject(this.argumentsText) ? "failed" : "complete";
  }

  /** Arguments that can be shown before the call is complete: an object, not a string or a list. */
  get streams(): boolean {
    return this.argumentsText.startsWith("{");
  }
}

function parseString(text: string): string | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "string" ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

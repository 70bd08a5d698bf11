/**
 * Finds tool calls in an answer while it is made: text before and between them is content, calls come out in pieces.
 *
 *   <tool_call>{…}</tool_call>   [TOOL_CALLS] [{…}, {…}]   <|python_tag|>{…}; {…}   {…} or [{…}] as the whole answer
 *
 * What looks like a call but names no tool of the request, or is no JSON, is content.
 *
 * Flow: tokens of an answer → parsedText → ToolParser → content and ToolCallPiece → server/chat.ts, sdk/tool-answer.ts.
 */
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import type { GeneratedToken } from "../generate.ts";
import { CallScanner } from "./call-scanner.ts";

/** A part of a call: the first has a name, all have the text that follows. */
export interface ToolCallPiece {
  /** Calls of one answer are counted from 0. */
  readonly index: number;
  readonly name?: string;
  readonly argumentsText: string;
}

export interface ParsedPiece {
  readonly content: string;
  readonly calls: readonly ToolCallPiece[];
}

/** What begins a call anywhere in an answer. */
const OPENERS = ["<tool_call>", "[TOOL_CALLS]", "<|python_tag|>"] as const;
/** What may stand between calls. */
const BETWEEN = /^(?:\s|,|;|\[|\]|<\/tool_call>)+/;
const CLOSER = "</tool_call>";

export class ToolParser {
  /** Calls begun so far. */
  callCount = 0;
  readonly #names: ReadonlySet<string>;
  #mode: "start" | "content" | "call" = "start";
  /** Text that is not decided yet. */
  #held = "";
  #scanner: CallScanner | undefined;
  /** What led to the call that is being read; it is content if no call comes of it. */
  #opener = "";
  #shownArguments = 0;
  #begun = false;
  #content = "";
  #calls: ToolCallPiece[] = [];

  /** @param names of the tools that may be called. */
  constructor(names: Iterable<string>) {
    this.#names = new Set(names);
  }

  push(text: string): ParsedPiece {
    this.#held += text;
    while (this.#advance());
    return this.#taken();
  }

  /** What is left when the answer has ended. */
  finish(): ParsedPiece {
    if (this.#mode === "call" && !this.#begun) this.#giveUp();
    if (this.#mode === "start" && this.callCount > 0) this.#held = this.#held.replace(BETWEEN, "");
    if (this.#mode !== "call") this.#content += this.#held;
    this.#held = "";
    return this.#taken();
  }

  #taken(): ParsedPiece {
    const piece = { content: this.#content, calls: this.#calls };
    this.#content = "";
    this.#calls = [];
    return piece;
  }

  /** One step; false when more text is needed. */
  #advance(): boolean {
    if (this.#mode === "call") return this.#readCall();
    if (this.#mode === "start") return this.#leaveStart();
    return this.#readContent();
  }

  /** The answer begins, or a call has ended: another may follow. */
  #leaveStart(): boolean {
    const between = this.callCount > 0 ? (BETWEEN.exec(this.#held)?.[0].length ?? 0) : 0;
    const rest = this.#held.slice(between).trimStart();
    if (rest === "") return false;
    const opener = OPENERS.find((text) => rest.startsWith(text));
    if (opener !== undefined) return this.#open(this.#held.length - rest.length + opener.length);
    if (rest.startsWith("{")) return this.#open(this.#held.length - rest.length);
    if (/^\[\s*\{/.test(rest)) return this.#open(this.#held.indexOf("{"));
    const mayOpen =
      OPENERS.some((text) => text.startsWith(rest)) ||
      /^\[\s*$/.test(rest) ||
      (this.callCount > 0 && CLOSER.startsWith(rest));
    if (mayOpen) return false;
    if (this.callCount > 0) this.#held = rest;
    this.#mode = "content";
    return true;
  }

  #readContent(): boolean {
    const found = OPENERS.map((text) => ({ text, at: this.#held.indexOf(text) }))
      .filter(({ at }) => at >= 0)
      .sort((a, b) => a.at - b.at)[0];
    if (found) {
      this.#content += this.#held.slice(0, found.at);
      this.#held = this.#held.slice(found.at);
      return this.#open(found.text.length);
    }
    let kept = 0;
    for (const opener of OPENERS)
      for (let length = Math.min(opener.length - 1, this.#held.length); length > kept; length--)
        if (this.#held.endsWith(opener.slice(0, length))) kept = length;
    this.#content += this.#held.slice(0, this.#held.length - kept);
    this.#held = this.#held.slice(this.#held.length - kept);
    return false;
  }

  #open(length: number): true {
    this.#opener = this.#held.slice(0, length);
    this.#held = this.#held.slice(length);
    this.#scanner = new CallScanner();
    this.#begun = false;
    this.#shownArguments = 0;
    this.#mode = "call";
    return true;
  }

  #readCall(): boolean {
    const scanner = this.#scanner ?? new CallScanner();
    if (scanner.text === "") {
      // A list's bracket, or white space, before the object.
      const lead = /^[\s[]*/.exec(this.#held)?.[0] ?? "";
      this.#opener += lead;
      this.#held = this.#held.slice(lead.length);
    }
    if (this.#held === "") return false;
    this.#held = this.#held.slice(scanner.push(this.#held));
    const isUnknown = scanner.name !== undefined && !this.#names.has(scanner.name);
    if (!this.#begun && (isUnknown || scanner.state === "failed")) {
      this.#giveUp();
      return true;
    }
    this.#show(scanner);
    if (scanner.state === "open") return false;
    this.#mode = "start";
    return true;
  }

  #show(scanner: CallScanner): void {
    const { name, argumentsText } = scanner;
    if (name === undefined || !(scanner.state === "complete" || scanner.streams || this.#begun)) return;
    const more = argumentsText.slice(this.#shownArguments);
    if (this.#begun && more === "") return;
    this.#shownArguments = argumentsText.length;
    const index = this.#begun ? this.callCount - 1 : this.callCount++;
    this.#calls.push({ index, ...(this.#begun ? {} : { name }), argumentsText: more });
    this.#begun = true;
  }

  /** It was no call: its text is content. */
  #giveUp(): void {
    this.#content += this.#opener + (this.#scanner?.text ?? "");
    this.#scanner = undefined;
    this.#mode = "content";
  }
}

/** What the parser reads of a token: its text, or the piece of a mark, which is a token of its own and has no text. */
export function parsedText(tokenizer: Tokenizer, { id, text }: GeneratedToken): string {
  return text === "" && tokenizer.kindOf(id) === "control" ? tokenizer.pieceOf(id) : text;
}

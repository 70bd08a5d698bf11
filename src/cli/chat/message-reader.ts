/**
 * Where a chat's messages come from: a person at a terminal, or the lines of a pipe.
 *
 * A line that ends with a backslash goes on in the next one. At a terminal, pasted lines are one message.
 */
import { createInterface, type Interface } from "node:readline";
import { appendHistory, HISTORY_LENGTH, readHistory } from "./history-file.ts";
import { completeCommand } from "./slash-command.ts";

export interface MessageReader {
  /** The next message; undefined at the end of input. */
  read(): Promise<string | undefined>;
  close(): void;
}

/** Messages from the lines of a pipe or a file. */
export function pipeReader(input: NodeJS.ReadableStream): MessageReader {
  const lines = createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY });
  const iterator = lines[Symbol.asyncIterator]();
  return {
    async read() {
      const parts: string[] = [];
      for (;;) {
        const { done, value } = await iterator.next();
        if (done) return parts.length > 0 ? parts.join("\n") : undefined;
        parts.push(value.replace(/\\$/, ""));
        if (!value.endsWith("\\")) return parts.join("\n");
      }
    },
    close: () => lines.close(),
  };
}

export interface TerminalReaderOptions {
  readonly input: NodeJS.ReadStream;
  readonly output: NodeJS.WriteStream;
  readonly prompt: string;
  /** Shown before further lines of a message. */
  readonly morePrompt: string;
  /** Undefined: lines are not kept. */
  readonly historyPath: string | undefined;
  /** Called when Ctrl-C was pressed at an empty prompt; the next one ends the input. */
  readonly onFirstInterrupt: () => void;
}

/** Milliseconds without a further line after which what came is the whole of a paste. */
const PASTE_PAUSE = 20;

/**
 * Messages typed at a terminal, with line editing and history.
 *
 * Between messages the terminal is in its ordinary mode, so that Ctrl-C is a signal again; what is typed meanwhile is
 * read with the next message.
 */
export class TerminalReader implements MessageReader {
  readonly #options: TerminalReaderOptions;
  readonly #lines: Interface;
  #parts: string[] = [];
  #pause: NodeJS.Timeout | undefined;
  #waiting: ((message: string | undefined) => void) | undefined;
  #interrupted = false;
  #closed = false;

  constructor(options: TerminalReaderOptions) {
    const { input, output, prompt, historyPath } = options;
    this.#options = options;
    this.#lines = createInterface({
      input,
      output,
      prompt,
      terminal: true,
      history: historyPath === undefined ? [] : readHistory(historyPath),
      historySize: HISTORY_LENGTH,
      removeHistoryDuplicates: true,
      completer: completeCommand,
    });
    this.#lines.on("line", (line) => this.#take(line));
    this.#lines.on("SIGINT", () => this.#interrupt());
    this.#lines.on("close", () => this.#end());
    this.#rest();
  }

  read(): Promise<string | undefined> {
    if (this.#closed) return Promise.resolve(undefined);
    this.#options.input.setRawMode(true);
    this.#lines.setPrompt(this.#options.prompt);
    this.#lines.prompt();
    return new Promise((resolve) => {
      this.#waiting = resolve;
      if (this.#parts.length > 0) this.#settleSoon();
    });
  }

  close(): void {
    this.#lines.close();
  }

  #take(line: string): void {
    this.#interrupted = false;
    if (this.#options.historyPath !== undefined) appendHistory(this.#options.historyPath, line);
    this.#parts.push(line);
    this.#settleSoon();
  }

  #settleSoon(): void {
    clearTimeout(this.#pause);
    this.#pause = setTimeout(() => this.#settle(), PASTE_PAUSE);
  }

  /** Hands the message out if it is complete, else asks for its next line. */
  #settle(): void {
    const last = this.#parts.at(-1);
    if (this.#waiting === undefined || last === undefined) return;
    const unfinished = last.endsWith("\\");
    // What stands on the line already is the end of a paste without a line break.
    if (!unfinished && this.#lines.line === "") {
      const message = this.#parts.map((part) => part.replace(/\\$/, "")).join("\n");
      this.#parts = [];
      this.#rest();
      this.#hand(message);
      return;
    }
    this.#lines.setPrompt(this.#options.morePrompt);
    this.#lines.prompt(true);
  }

  /** Ctrl-C: drops what was typed; at an empty prompt, the second one ends. */
  #interrupt(): void {
    if (this.#lines.line === "" && this.#parts.length === 0) {
      if (this.#interrupted) {
        this.#lines.close();
        return;
      }
      this.#interrupted = true;
      this.#options.output.write("\n");
      this.#options.onFirstInterrupt();
    } else {
      this.#parts = [];
      this.#lines.write(null, { ctrl: true, name: "e" });
      this.#lines.write(null, { ctrl: true, name: "u" });
      this.#options.output.write("\n");
    }
    this.#lines.setPrompt(this.#options.prompt);
    this.#lines.prompt();
  }

  #end(): void {
    clearTimeout(this.#pause);
    this.#closed = true;
    if (this.#waiting) this.#options.output.write("\n");
    this.#hand(undefined);
  }

  #rest(): void {
    this.#lines.pause();
    this.#options.input.setRawMode(false);
  }

  #hand(message: string | undefined): void {
    const resolve = this.#waiting;
    this.#waiting = undefined;
    resolve?.(message);
  }
}

/**
 * A Jinja chat template, ready to be rendered: with the variables and functions that templates on the Hugging Face hub
 * expect, and within bounds, because a template comes from a model file that anyone may have written.
 *
 * Flow: model file → ChatTemplate → text → jinja.ts.
 * Source: the chat template rules of Hugging Face transformers; the language is read by @huggingface/jinja.
 */
import { CriaError } from "../../shared/errors.ts";
import { BoundedInterpreter, field, type TemplateParts } from "./bounded-interpreter.ts";
import { formatTime } from "./format-time.ts";
import { Environment, parse, tokenize } from "./jinja-engine.ts";

/** Four times the longest template known. */
const LENGTH_LIMIT = 128 * 1024;
/** The package's search for `generation` tags takes quadratic time on runs of white space. */
const SPACE_LIMIT = 1024;
const RANGE_LIMIT = 100_000;

export class ChatTemplate {
  readonly source: string;
  readonly #program: ReturnType<typeof parse>;
  readonly #parts: TemplateParts;

  /** @throws {CriaError} "bad-template" for a template that is too long or cannot be parsed. */
  constructor(source: string) {
    if (source.length > LENGTH_LIMIT)
      throw new CriaError(
        "bad-template",
        `the chat template has ${source.length} characters; at most ${LENGTH_LIMIT} are supported`,
      );
    if (new RegExp(`\\s{${SPACE_LIMIT}}`).test(source))
      throw new CriaError(
        "bad-template",
        `the chat template has a run of ${SPACE_LIMIT} or more characters of white space`,
      );
    this.source = source;
    try {
      this.#program = parse(tokenize(source, { lstrip_blocks: true, trim_blocks: true }));
      this.#parts = partsOf(this.#program, source.length);
    } catch (error) {
      throw templateError("cannot be parsed", error);
    }
  }

  /**
   * The text that the template makes of the variables.
   *
   * @throws {CriaError} "bad-input" when the template itself refuses the messages; "bad-template" when it fails, or takes
   * too much work or memory.
   */
  render(variables: Readonly<Record<string, unknown>>): string {
    try {
      const environment = new Environment();
      for (const [name, value] of Object.entries({ ...GLOBALS, ...variables }))
        if (value !== undefined) environment.set(name, value);
      const interpreter = new BoundedInterpreter(environment, Object.keys(variables), this.#parts);
      return String(interpreter.run(this.#program).value);
    } catch (error) {
      throw templateError("failed", error);
    }
  }
}

/** What every template can use. Functions are also a variable's fallback, so none of them may do harm. */
const GLOBALS: Readonly<Record<string, unknown>> = {
  true: true,
  false: false,
  none: null,
  True: true,
  False: false,
  None: null,
  raise_exception(message: unknown): never {
    throw new CriaError("bad-input", `the chat template refuses these messages: ${String(message)}`);
  },
  strftime_now: (format: unknown): string => formatTime(new Date(), String(format)),
  range: boundedRange,
};

/** Python's range, up to a length that no conversation reaches. */
function boundedRange(...args: unknown[]): number[] {
  if (args.length < 1 || args.length > 3 || !args.every((value) => Number.isSafeInteger(value)))
    throw new CriaError(
      "bad-template",
      "the chat template calls range() with other than one to three integers",
    );
  const integers = args as number[];
  const [start, stop, step = 1] = integers.length === 1 ? [0, integers[0]] : integers;
  const length = Math.max(0, Math.ceil((stop - start) / step));
  if (!(length <= RANGE_LIMIT))
    throw new CriaError(
      "bad-template",
      `the chat template asks for a range of ${length}; the limit is ${RANGE_LIMIT}`,
    );
  return Array.from({ length }, (_, index) => start + index * step);
}

const BLOCKS: ReadonlySet<string> = new Set(["body", "alternate", "defaultBlock"]);

/** Finds the nodes whose values are written or looped over. */
function partsOf(program: unknown, length: number): TemplateParts {
  const outputs = new Set<unknown>();
  const iterables = new Set<unknown>();
  const loopBodies = new Set<unknown>();
  const visit = (node: unknown): void => {
    if (node instanceof Map) {
      for (const [key, value] of node) {
        visit(key);
        visit(value);
      }
    } else if (Array.isArray(node)) {
      for (const item of node) visit(item);
    } else if (typeof node === "object" && node !== null) {
      for (const [name, child] of Object.entries(node)) {
        if (BLOCKS.has(name) && Array.isArray(child)) for (const item of child) outputs.add(item);
        visit(child);
      }
      if (field(node, "type") === "For") {
        loopBodies.add(field(node, "body"));
        const iterable = field(node, "iterable");
        iterables.add(field(iterable, "type") === "SelectExpression" ? field(iterable, "lhs") : iterable);
      }
    }
  };
  visit(program);
  return { outputs, iterables, loopBodies, length };
}

function templateError(what: string, error: unknown): CriaError {
  if (error instanceof CriaError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new CriaError("bad-template", `the chat template ${what}: ${message}`, { cause: error });
}

/**
 * One running answer: iterate it for pieces of text, or `tokens()` for ids and probabilities; `result()` gives the
 * whole with its timings. Nothing is computed until it is asked for.
 *
 *   for await (const piece of model.chat(messages)) process.stdout.write(piece);
 */
import { CriaError } from "../shared/errors.ts";
import type { GeneratedToken, GenerationResult } from "./generate.ts";

export class Generation<Result extends GenerationResult = GenerationResult> implements AsyncIterable<string> {
  readonly #steps: AsyncGenerator<GeneratedToken, Result>;
  #result: Promise<Result> | undefined;
  #iterating = false;

  constructor(steps: AsyncGenerator<GeneratedToken, Result>) {
    this.#steps = steps;
  }

  /** Pieces of the answer's text, none of them empty. */
  async *[Symbol.asyncIterator](): AsyncIterator<string> {
    for await (const { text } of this.tokens()) if (text !== "") yield text;
  }

  /** The answer's tokens as they are made. Can be iterated once; leaving the loop early ends the generation. */
  async *tokens(): AsyncGenerator<GeneratedToken, void> {
    if (this.#iterating) throw new CriaError("bad-input", "a generation can be iterated once");
    this.#iterating = true;
    let finish: (result: Promise<Result>) => void = () => {};
    this.#result = new Promise<Result>((resolve) => {
      finish = resolve;
    });
    // Errors reach the loop below; without a caller of result() they are not unhandled rejections.
    this.#result.catch(() => {});
    let ended = false;
    try {
      for (;;) {
        const { done, value } = await this.#steps.next();
        if (done) {
          ended = true;
          finish(Promise.resolve(value));
          return;
        }
        yield value;
      }
    } catch (error) {
      ended = true;
      finish(Promise.reject(error));
      throw error;
    } finally {
      if (!ended) {
        await this.#steps.return(undefined as never);
        finish(
          Promise.reject(new CriaError("aborted", "the loop over the generation was left before its end")),
        );
      }
    }
  }

  /** The whole answer; runs it to its end if nothing iterates it. */
  async result(): Promise<Result> {
    if (!this.#iterating) for await (const _ of this.tokens());
    return this.#result as Promise<Result>;
  }
}

/**
 * Work in the order it was asked for. What can be done at once is; while something takes its time elsewhere, the rest
 * waits. After a failure everything fails in the same way.
 */
export class WorkQueue {
  readonly #waiting: (() => Promise<void> | void)[] = [];
  readonly #idle: PromiseWithResolvers<void>[] = [];
  #busy = false;
  #failure: { readonly error: unknown } | undefined;

  /** Whether something is under way elsewhere. */
  get busy(): boolean {
    return this.#busy;
  }

  get failed(): boolean {
    return this.#failure !== undefined;
  }

  /** Does the work now, and throws what it throws, or after what is under way. A promise that it returns is waited for. */
  add(work: () => Promise<void> | void): void {
    if (this.#failure) throw this.#failure.error;
    this.#waiting.push(work);
    if (!this.#busy) this.#next();
  }

  /** Resolves when all work that was added has been done. */
  async idle(): Promise<void> {
    if (this.#failure) throw this.#failure.error;
    if (!this.#busy) return;
    const done = Promise.withResolvers<void>();
    this.#idle.push(done);
    await done.promise;
  }

  #next(): void {
    for (let work = this.#waiting.shift(); work; work = this.#waiting.shift()) {
      const promise = work();
      if (!promise) continue;
      this.#busy = true;
      promise.then(
        () => {
          this.#busy = false;
          try {
            this.#next();
          } catch (error) {
            // Nobody is there any more to be told, but those who wait.
            this.#fail(error);
          }
        },
        (error: unknown) => this.#fail(error),
      );
      return;
    }
    for (const done of this.#idle.splice(0)) done.resolve();
  }

  #fail(error: unknown): void {
    this.#failure = { error };
    this.#busy = false;
    this.#waiting.length = 0;
    for (const done of this.#idle.splice(0)) done.reject(error);
  }
}

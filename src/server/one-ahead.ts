/**
 * Lets a generator make its next item while this one is used: what a token's text still goes through, up to the socket,
 * then takes no time from the engine.
 *
 * Flow: Model's tokens → oneAhead → answer.ts.
 */

/** The same items. Whoever leaves early waits for the one that is being made. */
export async function* oneAhead<Item>(source: AsyncGenerator<Item, void>): AsyncGenerator<Item, void> {
  let next: Promise<IteratorResult<Item, void>> | undefined = source.next();
  try {
    while (next) {
      const result: IteratorResult<Item, void> = await next;
      next = undefined;
      if (result.done) return;
      next = source.next();
      // A failure is met at the await above, when this item has been used.
      next.catch(() => {});
      yield result.value;
    }
  } finally {
    await next?.catch(() => {});
    await source.return();
  }
}

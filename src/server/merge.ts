/**
 * Runs several generators side by side, at most `limit` at once, and hands out what they yield as it comes.
 *
 * Flow: one generator for each choice of an answer → merge → a stream of chunks, or collected choices.
 */

/** `abandon` is called when its reader leaves or one of the generators throws; all of them have to end then. */
export async function* merge<Item>(
  starts: readonly (() => AsyncGenerator<Item, void>)[],
  limit: number,
  abandon: () => void,
): AsyncGenerator<Item, void> {
  if (starts.length === 1) {
    yield* starts[0]();
    return;
  }
  interface Step {
    readonly source: AsyncGenerator<Item, void>;
    readonly result: IteratorResult<Item, void>;
  }
  const running = new Map<AsyncGenerator<Item, void>, Promise<Step>>();
  const advance = (source: AsyncGenerator<Item, void>) => {
    running.set(
      source,
      source.next().then((result) => ({ source, result })),
    );
  };
  let started = 0;
  try {
    while (started < starts.length || running.size > 0) {
      while (started < starts.length && running.size < limit) advance(starts[started++]());
      const { source, result } = await Promise.race(running.values());
      // Moves to the end of the map, and of the race: no generator is favoured.
      running.delete(source);
      if (result.done) continue;
      advance(source);
      yield result.value;
    }
  } finally {
    if (running.size > 0) abandon();
    await Promise.all(
      Array.from(running, async ([source, step]) => {
        await step.catch(() => {});
        await source.return().catch(() => {});
      }),
    );
  }
}

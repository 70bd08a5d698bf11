/** Yields what `map` makes of each item and returns what the source returns; leaving the loop early ends the source. */
export async function* mapped<Item, Result, Mapped>(
  source: AsyncGenerator<Item, Result>,
  map: (item: Item) => Mapped,
): AsyncGenerator<Mapped, Result> {
  try {
    for (;;) {
      const { done, value } = await source.next();
      if (done) return value;
      yield map(value);
    }
  } finally {
    await source.return(undefined as never);
  }
}

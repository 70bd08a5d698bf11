/**
 * The lines of a stream, cut at newlines only. Node's readline cuts at U+2028 and U+2029 too, and JSON writes those
 * unescaped.
 */
import type { Readable } from "node:stream";

/** Yields each line without its newline, and what is left at the end if it is not empty. */
export async function* readLines(stream: Readable): AsyncGenerator<string, void> {
  stream.setEncoding("utf8");
  let rest: string[] = [];
  for await (const chunk of stream) {
    const [first = "", ...others] = (chunk as string).split("\n");
    rest.push(first);
    for (const line of others) {
      yield rest.join("");
      rest = [line];
    }
  }
  const last = rest.join("");
  if (last !== "") yield last;
}

import fc from "fast-check";
import { expect, it } from "vitest";
import { StopMatcher } from "./stop.ts";

const letters = fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 6 });
const stops = fc.array(
  letters.filter((text) => text !== ""),
  { maxLength: 4 },
);

/** The text before the stop string that is complete first, and whether there is one. */
function naive(text: string, stops: readonly string[]): { text: string; stopped: boolean } {
  for (let end = 0; end <= text.length; end++) {
    const longest = stops
      .filter((stop) => text.slice(0, end).endsWith(stop))
      .sort((a, b) => b.length - a.length)[0];
    if (longest !== undefined) return { text: text.slice(0, end - longest.length), stopped: true };
  }
  return { text, stopped: false };
}

it("shows exactly the text before the first stop string, however the text is cut", () => {
  fc.assert(
    fc.property(fc.array(letters, { maxLength: 12 }), stops, (pieces, stops) => {
      const matcher = new StopMatcher(stops);
      let shown = "";
      let stopped = false;
      for (const piece of pieces) {
        const result = matcher.push(piece);
        shown += result.text;
        stopped = result.stopped;
        if (stopped) break;
      }
      shown += matcher.flush();
      expect({ text: shown, stopped }).toEqual(naive(pieces.join(""), stops));
    }),
    { numRuns: 5000 },
  );
});

it("holds back nothing that cannot become a stop string", () => {
  fc.assert(
    fc.property(fc.array(letters, { maxLength: 12 }), stops, (pieces, stops) => {
      const matcher = new StopMatcher(stops);
      let seen = "";
      let shown = "";
      for (const piece of pieces) {
        seen += piece;
        const result = matcher.push(piece);
        shown += result.text;
        if (result.stopped) return;
        const held = seen.slice(shown.length);
        // Some stop string continues exactly what is held, and nothing longer could be continued.
        if (held !== "")
          expect(stops.some((stop) => stop.length > held.length && stop.startsWith(held))).toBe(true);
        for (let at = 0; at < shown.length; at++)
          expect(stops.some((stop) => stop.startsWith(seen.slice(at)))).toBe(false);
      }
    }),
  );
});

it("stays stopped, and gives nothing more", () => {
  const matcher = new StopMatcher(["</s>"]);
  expect(matcher.push("Hi <")).toEqual({ text: "Hi ", stopped: false });
  expect(matcher.push("/s> there")).toEqual({ text: "", stopped: true });
  expect(matcher.push("more")).toEqual({ text: "", stopped: true });
  expect(matcher.flush()).toBe("");
});

it("refuses an empty stop string", () => {
  expect(() => new StopMatcher(["x", ""])).toThrow(expect.objectContaining({ code: "bad-input" }));
});

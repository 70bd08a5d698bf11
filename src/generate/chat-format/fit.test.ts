import fc from "fast-check";
import { expect, it } from "vitest";
import type { ChatFormat } from "./chat-format.ts";
import { fitMessages } from "./fit.ts";
import type { ChatMessage } from "./messages.ts";

/** One id for each character of each message, and one for the message itself. */
const format: ChatFormat = {
  encode: (messages) =>
    messages.flatMap(({ content }) => [0, ...Array.from(content, (c) => c.charCodeAt(0))]),
  stopIds: new Set(),
  stopStrings: [],
  trimAnswerStart: false,
};

const turns = fc
  .array(
    fc.record({
      question: fc.string({ maxLength: 9 }),
      answers: fc.array(fc.string({ maxLength: 9 }), { maxLength: 2 }),
    }),
    { minLength: 1, maxLength: 8 },
  )
  .map((list) =>
    list.map(({ question, answers }): ChatMessage[] => [
      { role: "user", content: question },
      ...answers.map(
        (content, index): ChatMessage => ({ role: index === 0 ? "assistant" : "tool", content }),
      ),
    ]),
  );

it("drops the fewest oldest turns, and keeps the system message and the last turn", () => {
  fc.assert(
    fc.property(turns, fc.boolean(), fc.integer({ min: 0, max: 120 }), (list, withSystem, limit) => {
      const system: ChatMessage[] = withSystem ? [{ role: "system", content: "be kind" }] : [];
      const after = (count: number) => format.encode([...system, ...list.slice(count).flat()]);
      const count = list.findIndex((_, index) => after(index).length <= limit);
      const fitted = () => fitMessages(format, [...system, ...list.flat()], limit);
      if (count < 0) expect(fitted).toThrow(expect.objectContaining({ code: "context-full" }));
      else expect(fitted()).toEqual({ ids: after(count), dropped: list.slice(0, count).flat() });
    }),
    { numRuns: 500 },
  );
});

it("says how long the last message is and how much room there is", () => {
  expect(() => fitMessages(format, [{ role: "user", content: "a".repeat(20) }], 10)).toThrow(
    /takes 21 tokens.*room for 10/,
  );
});

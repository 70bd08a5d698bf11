import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type OrderedJson, parseOrderedJson } from "./ordered-json.ts";

/** As JSON.parse gives it. */
function plain(value: OrderedJson): unknown {
  if (value instanceof Map)
    return Object.fromEntries(Array.from(value, ([key, inner]) => [key, plain(inner)]));
  return Array.isArray(value) ? value.map(plain) : value;
}

describe("parseOrderedJson", () => {
  it("gives what JSON.parse gives, with any spaces", () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 5 }), fc.constantFrom(undefined, 1, "\t", " \n"), (text, space) => {
        const spaced = JSON.stringify(JSON.parse(text), undefined, space);
        expect(plain(parseOrderedJson(spaced, 10))).toEqual(JSON.parse(spaced));
      }),
    );
  });

  it("refuses what JSON.parse refuses", () => {
    const character = fc.constantFrom(
      ...'{}[],:"\\ae019.-+\n\u0001 ntu',
      "true",
      "null",
      '"a"',
      "1e5",
      "\\u00e9",
    );
    fc.assert(
      fc.property(fc.array(character, { maxLength: 12 }), (characters) => {
        const text = characters.join("");
        let expected: unknown;
        try {
          expected = JSON.parse(text);
        } catch {
          expect(() => parseOrderedJson(text, 20)).toThrow(SyntaxError);
          return;
        }
        let value: OrderedJson;
        try {
          value = parseOrderedJson(text, 20);
        } catch (error) {
          expect(String(error)).toMatch(/given twice/);
          return;
        }
        expect(plain(value)).toEqual(expected);
      }),
      { numRuns: 5000 },
    );
  });

  it("keeps the order of keys that look like integers, and __proto__", () => {
    const entries = parseOrderedJson('{"b":1,"10":2,"__proto__":3,"2":4}', 1) as Map<string, OrderedJson>;
    expect([...entries.keys()]).toEqual(["b", "10", "__proto__", "2"]);
  });

  it.each([
    ['{"a":1,"b":2,"\\u0061":3}', "given twice"],
    ['{"a":[[1]]}', "nested deeper than 2 at character 6"],
    ['{"a', "a string without end"],
    ['{"a\\', "a string without end"],
    ['{"a":1}}', "expected the end at character 7"],
    ["", "expected a value at character 0"],
  ])("refuses %s", (text, message) => {
    expect(() => parseOrderedJson(text, 2)).toThrow(message);
  });
});

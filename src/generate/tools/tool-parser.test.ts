import fc from "fast-check";
import { expect, it } from "vitest";
import { ToolParser } from "./tool-parser.ts";

/** Content and calls of a text that arrives in pieces of these lengths. */
function parse(text: string, cuts: readonly number[] = []) {
  const parser = new ToolParser(["weather", "time"]);
  let content = "";
  const calls: { name: string; arguments: string }[] = [];
  const take = (piece: ReturnType<ToolParser["push"]>) => {
    content += piece.content;
    for (const { index, name, argumentsText } of piece.calls) {
      if (name !== undefined) calls[index] = { name, arguments: "" };
      calls[index].arguments += argumentsText;
    }
  };
  let at = 0;
  for (const cut of [...cuts, text.length]) {
    take(parser.push(text.slice(at, at + cut)));
    at += cut;
  }
  take(parser.finish());
  return { content, calls };
}

const paris = '{"city": "Paris \\"{[ü\\\\", "days": [1, {"a": null}]}';
const cases: Record<string, [string, { content: string; calls: object[] }]> = {
  "plain text": ["Hello {world} <tool>", { content: "Hello {world} <tool>", calls: [] }],
  "a tagged call": [
    `<tool_call>\n{"name": "weather", "arguments": ${paris}}\n</tool_call>`,
    { content: "", calls: [{ name: "weather", arguments: paris }] },
  ],
  "text before a call": [
    `Let me see. <tool_call>{"name":"time","arguments":{}}</tool_call>`,
    { content: "Let me see. ", calls: [{ name: "time", arguments: "{}" }] },
  ],
  "two tagged calls": [
    `<tool_call>{"name":"time","arguments":{"a":1}}</tool_call>\n<tool_call>{"name":"weather","arguments":${paris}}</tool_call>\n`,
    {
      content: "",
      calls: [
        { name: "time", arguments: '{"a":1}' },
        { name: "weather", arguments: paris },
      ],
    },
  ],
  "a bare object": [
    `\n {"name": "weather", "parameters": ${paris}}`,
    { content: "", calls: [{ name: "weather", arguments: paris }] },
  ],
  "arguments before the name": [
    `{"arguments": ${paris}, "name": "weather"}`,
    { content: "", calls: [{ name: "weather", arguments: paris }] },
  ],
  "arguments as a string": [
    `{"name": "weather", "arguments": ${JSON.stringify(paris)}}`,
    { content: "", calls: [{ name: "weather", arguments: paris }] },
  ],
  "no arguments": [`{"name": "time"}`, { content: "", calls: [{ name: "time", arguments: "{}" }] }],
  "Mistral's list": [
    `[TOOL_CALLS] [{"name": "time", "arguments": {}}, {"name": "time", "arguments": {"z": 2}}]`,
    {
      content: "",
      calls: [
        { name: "time", arguments: "{}" },
        { name: "time", arguments: '{"z": 2}' },
      ],
    },
  ],
  "a bare list": [
    `[{"name": "time", "arguments": {}}]`,
    { content: "", calls: [{ name: "time", arguments: "{}" }] },
  ],
  "JSON that is no call": [
    `{"answer": [1, 2]} and more`,
    { content: `{"answer": [1, 2]} and more`, calls: [] },
  ],
  "a list that is no call": [`[1, 2]`, { content: `[1, 2]`, calls: [] }],
  "an unknown tool": [
    `<tool_call>{"name": "rm", "arguments": {}}</tool_call>`,
    { content: `<tool_call>{"name": "rm", "arguments": {}}</tool_call>`, calls: [] },
  ],
  "a call cut before its name": [`<tool_call>{"na`, { content: `<tool_call>{"na`, calls: [] }],
  "a call cut in its arguments": [
    `<tool_call>{"name": "time", "arguments": {"a`,
    { content: "", calls: [{ name: "time", arguments: '{"a' }] },
  ],
  "text after a call": [
    `{"name": "time", "arguments": {}} Done.`,
    { content: "Done.", calls: [{ name: "time", arguments: "{}" }] },
  ],
};

it.each(Object.entries(cases))("reads %s, however it is cut", (_, [text, expected]) => {
  expect(parse(text)).toEqual(expected);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 60 }), (cuts) => {
      expect(parse(text, cuts)).toEqual(expected);
    }),
    { numRuns: 300 },
  );
});

it("shows arguments as they come", () => {
  const parser = new ToolParser(["time"]);
  expect(parser.push('<tool_call>{"name": "time", "arguments": {"a"').calls).toEqual([
    { index: 0, name: "time", argumentsText: '{"a"' },
  ]);
  expect(parser.push(": 1").calls).toEqual([{ index: 0, argumentsText: ": 1" }]);
  expect(parser.push("}}").calls).toEqual([{ index: 0, argumentsText: "}" }]);
});

import { expect, test } from "vitest";
import { unescapeText } from "./escapes.ts";

test("known escapes are replaced, others stay", () => {
  expect(unescapeText("a\\nb\\tc\\\\n\\'\\\"\\r")).toBe("a\nb\tc\\n'\"\r");
  expect(unescapeText("\\q \\ \\x4 C:\\dir")).toBe("\\q \\ \\x4 C:\\dir");
});

test("bytes written one by one make characters", () => {
  expect(unescapeText("caf\\xC3\\xA9\\x21")).toBe("café!");
  expect(unescapeText("\\xFF")).toBe("\uFFFD");
});

import fc from "fast-check";
import { expect, test } from "vitest";
import { Utf8Stream } from "./utf8-stream.ts";

const decode = (...bytes: number[]) => {
  const stream = new Utf8Stream();
  return stream.pushAll(Uint8Array.from(bytes)) + stream.flush();
};

test("valid text comes back, whatever it holds", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      expect(decode(...new TextEncoder().encode(text))).toBe(text.toWellFormed());
    }),
  );
});

test("each byte that starts no character is one U+FFFD", () => {
  expect(decode(0xf0, 0x9f, 0x98)).toBe("\uFFFD\uFFFD\uFFFD");
  expect(decode(0xf0, 0x9f, 0x98, 0x41)).toBe("\uFFFD\uFFFD\uFFFDA");
  expect(decode(0x80, 0xff, 0xfe)).toBe("\uFFFD\uFFFD\uFFFD");
  expect(decode(0xc3, 0xc3, 0xa9)).toBe("\uFFFDé");
});

test("overlong forms, encoded surrogates and what passes U+10FFFF are broken", () => {
  expect(decode(0xc0, 0x80)).toBe("\uFFFD\uFFFD");
  expect(decode(0xe0, 0x80, 0x80)).toBe("\uFFFD\uFFFD\uFFFD");
  expect(decode(0xf0, 0x80, 0x80, 0x80)).toBe("\uFFFD".repeat(4));
  expect(decode(0xed, 0xa0, 0x80)).toBe("\uFFFD\uFFFD\uFFFD");
  expect(decode(0xf4, 0x90, 0x80, 0x80)).toBe("\uFFFD".repeat(4));
});

test("a stored U+FFFD is a character like others", () => {
  expect(decode(0xef, 0xbf, 0xbd)).toBe("\uFFFD");
});

test("text comes as soon as it is certain, and no sooner", () => {
  const stream = new Utf8Stream();
  expect([0xf0, 0x9f, 0x98, 0x80, 0x41].map((byte) => stream.push(byte))).toEqual(["", "", "", "😀", "A"]);
  expect(stream.isEmpty).toBe(true);
});

import { expect, it } from "vitest";
import { scalarEvent, startEvent, versionEvent } from "./tensorboard.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

// Made with TensorBoard's own RecordWriter for these values.
const VERSION = "1800000000000000a37f4b2209000000000000f83f1a0d627261696e2e4576656e743a322a28646c";
const START = "100000000000000095fbfe1809000000000000004010ac023a0208011292da01";
const SCALAR = "1b000000000000001a0d9e1309000000000000004010ac022a0d0a0b0a046c6f7373150000003fdfc52b60";

it("writes records as TensorFlow does", () => {
  expect(hex(versionEvent(1.5))).toBe(VERSION);
  expect(hex(startEvent(2, 300))).toBe(START);
  expect(hex(scalarEvent(2, 300, { loss: 0.5 }))).toBe(SCALAR);
});

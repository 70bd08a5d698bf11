import { expect, test } from "vitest";
import { completeCommand, parseChatLine } from "./slash-command.ts";

test("messages", () => {
  expect(parseChatLine("hello\nthere")).toEqual({ kind: "message", text: "hello\nthere" });
  expect(parseChatLine("//etc/passwd?")).toEqual({ kind: "message", text: "/etc/passwd?" });
  expect(parseChatLine(" \n ")).toEqual({ kind: "empty" });
});

test("commands", () => {
  expect(parseChatLine("/system  Be brief.\nAlways. ")).toEqual({
    kind: "command",
    name: "system",
    text: "Be brief.\nAlways.",
  });
  expect(parseChatLine("/quit")).toEqual({ kind: "command", name: "exit", text: "" });
});

test("what is no command is said", () => {
  expect(parseChatLine("/frobnicate")).toMatchObject({ kind: "wrong" });
  expect(parseChatLine("/constructor")).toMatchObject({ kind: "wrong" });
  expect(parseChatLine("/")).toMatchObject({ kind: "wrong" });
  expect(parseChatLine("/save ")).toMatchObject({ kind: "wrong", reason: "name a file: /save chat.json" });
});

test("completion", () => {
  expect(completeCommand("/re")).toEqual([["/regenerate"], "/re"]);
  expect(completeCommand("/save x")).toEqual([[], "/save x"]);
  expect(completeCommand("re")).toEqual([[], "re"]);
});

import { describe, expect, test } from "vitest";
import { Conversation } from "./conversation.ts";

function twoTurns(): Conversation {
  const conversation = new Conversation("Be brief.");
  for (const turn of [1, 2]) {
    conversation.add("user", `question ${turn}`);
    conversation.add("assistant", `answer ${turn}`);
  }
  return conversation;
}

const contents = (conversation: Conversation): string[] =>
  conversation.messages.map(({ content }) => content);

describe("Conversation", () => {
  test("the system message stays in front and can be changed or removed", () => {
    const conversation = twoTurns();
    conversation.system = "Be long.";
    expect(contents(conversation)).toEqual(["Be long.", "question 1", "answer 1", "question 2", "answer 2"]);
    conversation.system = "";
    expect(contents(conversation)).toEqual(["question 1", "answer 1", "question 2", "answer 2"]);
    expect(conversation.system).toBe("");
  });

  test("takes back an answer, an exchange, everything", () => {
    const conversation = twoTurns();
    expect(conversation.takeAnswer()).toBe(true);
    expect(contents(conversation)).toEqual(["Be brief.", "question 1", "answer 1", "question 2"]);
    expect(conversation.takeExchange()).toBe("question 2");
    expect(conversation.takeExchange()).toBe("question 1");
    expect(conversation.takeExchange()).toBeUndefined();
    expect(conversation.takeAnswer()).toBe(false);
    expect(contents(conversation)).toEqual(["Be brief."]);
    const again = twoTurns();
    again.clear();
    expect(contents(again)).toEqual(["Be brief."]);
  });

  test("what is saved can be loaded", () => {
    const conversation = new Conversation();
    conversation.readJson(twoTurns().toJson(), "chat.json");
    expect(conversation.messages).toEqual(twoTurns().messages);
  });

  test("what is no conversation is refused and changes nothing", () => {
    const conversation = twoTurns();
    for (const text of ["", "{}", "[1]", "[null]", '[{"role":"robot","content":"x"}]', '[{"role":"user"}]'])
      expect(() => conversation.readJson(text, "chat.json"), text).toThrow("chat.json: ");
    expect(conversation.messages).toEqual(twoTurns().messages);
  });
});

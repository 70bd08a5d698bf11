import { expect, it } from "vitest";
import type { ChatMessage } from "../generate/chat-format/messages.ts";
import type { GenerateOptions } from "../generate/generate.ts";
import { Generation } from "../generate/generation.ts";
import type { ChatResult, Model } from "../generate/model.ts";
import { throwIfAborted } from "../shared/errors.ts";
import { Conversation } from "./conversation.ts";

const asked: { messages: readonly ChatMessage[]; options: GenerateOptions }[] = [];
/** Answers with the number of messages, a piece at each turn of the event loop. */
const model: Pick<Model, "chat"> = {
  chat(messages, options = {}) {
    asked.push({ messages, options });
    return new Generation<ChatResult>(
      (async function* () {
        for (const text of ["there are ", `${messages.length}`]) {
          await new Promise((resolve) => setTimeout(resolve, 1));
          throwIfAborted(options.signal);
          if (messages.at(-1)?.content === "fail") throw new RangeError("as you wish");
          yield { id: 1, text };
        }
        return { finishReason: "stop" } as unknown as ChatResult;
      })(),
    );
  },
};

function conversation(initial?: readonly ChatMessage[]): Conversation {
  const made = new Conversation(initial);
  made.model = model;
  return made;
}
const said = (made: Conversation) => made.get().messages.map(({ role, content }) => `${role}: ${content}`);

it("grows an answer piece by piece, with system prompt and settings", async () => {
  const made = conversation([
    { role: "user", content: "a" },
    { role: "assistant", content: "b" },
  ]);
  const finished: string[] = [];
  made.options = {
    ...{ system: "be brief", temperature: 0.5 },
    onFinish: ({ finishReason }) => finished.push(finishReason),
  };
  const seen: string[] = [];
  made.subscribe(() => seen.push(`${made.get().status} ${said(made).at(-1)}`));
  await made.send("c");
  expect(seen).toEqual([
    "answering assistant: ",
    "answering assistant: there are ",
    "answering assistant: there are 4",
    "ready assistant: there are 4",
  ]);
  expect(asked.at(-1)).toMatchObject({
    messages: [{ role: "system", content: "be brief" }, { content: "a" }, { content: "b" }, { content: "c" }],
    options: { temperature: 0.5 },
  });
  expect(finished).toEqual(["stop"]);
  expect(new Set(made.get().messages.map(({ id }) => id)).size).toBe(4);
});

it("keeps what came before a stop, and answers again", async () => {
  const made = conversation();
  const answer = made.send("hello");
  await expect(made.send("too soon")).rejects.toThrow(/an answer is being made/);
  made.subscribe(() => {
    if (said(made).at(-1) === "assistant: there are ") made.stop();
  });
  await answer;
  expect(made.get().status).toBe("ready");
  expect(said(made)).toEqual(["user: hello", "assistant: there are "]);
  await conversation()
    .regenerate()
    .catch((error: Error) => expect(error.message).toMatch(/no message/));
  const again = conversation([
    { role: "user", content: "x" },
    { role: "assistant", content: "old" },
  ]);
  await again.regenerate();
  expect(said(again)).toEqual(["user: x", "assistant: there are 1"]);
});

it("shows an error, and goes on after it", async () => {
  const made = conversation();
  await made.send("fail");
  expect(made.get()).toMatchObject({ status: "error", error: { message: "as you wish" } });
  expect(said(made)).toEqual(["user: fail"]);
  await made.send("now");
  expect(made.get()).toMatchObject({ status: "ready", error: undefined });
});

it("is not changed by the answer of a conversation that was left", async () => {
  const made = conversation();
  const answer = made.send("one");
  made.setMessages([{ role: "user", content: "other" }]);
  await answer;
  expect(said(made)).toEqual(["user: other"]);
  await made.regenerate();
  expect(said(made)).toEqual(["user: other", "assistant: there are 1"]);
});

it("refuses while there is no model", async () => {
  await expect(new Conversation().send("hello")).rejects.toThrow(/the model is not loaded yet/);
});

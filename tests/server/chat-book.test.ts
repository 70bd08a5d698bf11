/** The chat page's book of chats, with a store that answers when it is told to; and chats that come from elsewhere. */
import { expect, it } from "vitest";
import { ChatBook } from "../../apps/chat/src/book.ts";
import type { Store } from "../../apps/chat/src/store.ts";
import {
  type Chat,
  chatFrom,
  newChat,
  pathOf,
  promptOf,
  withNode,
  withoutConsent,
} from "../../apps/chat/src/tree.ts";

function chatOf(id: string, ...texts: string[]): Chat {
  let chat: Chat = { ...newChat(), id };
  for (const content of texts)
    chat = withNode(chat, { id: `${id} ${content}`, parent: chat.leaf, role: "user", content });
  return chat;
}

/** Chats by id; `gate` holds back what is asked next. */
class FakeStore {
  readonly kept = new Map<string, Chat>();
  gate: Promise<void> = Promise.resolve();
  readonly store = {
    chats: async () => {
      const chats = [...this.kept.values()];
      await this.gate;
      return chats;
    },
    saveChat: async (chat: Chat) => {
      await this.gate;
      this.kept.set(chat.id, chat);
    },
    removeChat: async (id: string) => {
      await this.gate;
      this.kept.delete(id);
    },
  } as unknown as Store;

  hold(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.gate = promise;
    return resolve;
  }
}

async function bookWith(...chats: Chat[]) {
  const fake = new FakeStore();
  for (const chat of chats) fake.kept.set(chat.id, chat);
  const book = new ChatBook((error) => expect.unreachable(String(error)));
  await book.open(fake.store);
  return { fake, book, texts: (id: string) => book.chat(id)?.nodes.map(({ content }) => content) };
}

/** The same chat with a message more, as another tab keeps it. */
function later(chat: Chat, content: string): Chat {
  const node = { id: `${chat.id} ${content}`, parent: chat.leaf, role: "user" as const, content };
  return { ...withNode(chat, node), changed: chat.changed + 1000 };
}

it("takes newer chats and new ones", async () => {
  const chat = chatOf("a", "one");
  const { fake, book, texts } = await bookWith(chat);
  fake.kept.set("a", later(chat, "two"));
  fake.kept.set("b", chatOf("b", "new"));
  await book.refresh();
  expect([texts("a"), texts("b")]).toEqual([["one", "two"], ["new"]]);
});

it("leaves alone the chat in which an answer is made", async () => {
  const chat = chatOf("a", "one");
  const { fake, book, texts } = await bookWith(chat);
  fake.kept.set("a", later(chat, "two"));
  await book.refresh("a");
  expect(texts("a")).toEqual(["one"]);
});

it("brings no chat back whose removal is under way", async () => {
  const { fake, book } = await bookWith(chatOf("a", "one"));
  const go = fake.hold();
  book.remove("a");
  const refreshed = book.refresh();
  go();
  await refreshed;
  expect(book.chat("a")).toBeUndefined();
});

it("lets what happens while the store is read stand", async () => {
  const [a, b] = [chatOf("a", "one"), chatOf("b", "one")];
  const { fake, book, texts } = await bookWith(a, b);
  fake.kept.set("a", later(a, "elsewhere"));
  const go = fake.hold();
  const refreshed = book.refresh();
  await Promise.resolve();
  book.remove("b");
  book.change("a", (chat) => later(chat, "here"));
  go();
  await refreshed;
  expect(book.chat("b")).toBeUndefined();
  expect(texts("a")).toEqual(["one", "here"]);
});

it("lets no older version in, and of two versions the newer", async () => {
  const old = chatOf("a", "one");
  const { book, texts } = await bookWith(later(old, "two"));
  expect(book.add([old, chatOf("b", "one")])).toBe(1);
  expect(texts("a")).toEqual(["one", "two"]);
  const b = book.chat("b") ?? old;
  expect(book.add([later(b, "two"), b])).toBe(1);
  expect(texts("b")).toEqual(["one", "two"]);
  expect(
    book.view
      .get()
      .chats.map(({ id }) => id)
      .sort(),
  ).toEqual(["a", "b"]);
});

it("takes chats of other programs only as every store can keep them", () => {
  const [node] = chatOf("a", "one").nodes;
  const read = (changes: object) => chatFrom({ ...chatOf("a", "one"), ...changes });
  expect(read({ changed: 1.5 })?.changed).toBe(2);
  expect(read({ changed: -1 })?.changed).toBe(0);
  expect(read({ changed: 1e300 })?.changed).toBe(Number.MAX_SAFE_INTEGER);
  for (const id of ["", "x".repeat(101)]) {
    expect(read({ id })).toBeUndefined();
    // Without a name a message would be its own parent, and the path to it endless.
    expect(read({ nodes: [{ ...node, id }], leaf: id })).toBeUndefined();
  }
  expect(read({ nodes: [{ ...node, origin: { model: "m", settings: {}, system: 1 } }] })?.nodes[0]).toEqual(
    node,
  );
  expect(pathOf(read({}) ?? newChat())).toHaveLength(1);
});

it("gives an answer the system prompt that it was made with", () => {
  const asked = { ...chatOf("a", "one"), system: "new" };
  const answer = { id: "b", parent: asked.leaf, role: "assistant" as const, content: "two" };
  const origin = { model: "m", settings: {}, system: "old" };
  const systems = [answer, { ...answer, origin }, { ...answer, origin: { ...origin, system: "" } }].map(
    (node) => promptOf(withNode(asked, node), node)[0],
  );
  expect(systems.map(({ content }) => content)).toEqual(["new", "old", "one"]);
});

it("takes over no consent that was given elsewhere", () => {
  const feedback = { liked: true, reason: "", better: "", consent: true };
  const chat = chatOf("a", "one", "two");
  const rated = { ...chat, nodes: chat.nodes.map((node) => ({ ...node, feedback })) };
  const { nodes } = withoutConsent(rated, new Set(["a two"]));
  expect(nodes.map((node) => node.feedback?.consent)).toEqual([false, true]);
});

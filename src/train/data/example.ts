/**
 * What a record teaches, told by its fields:
 *
 *   {text}                                              plain text
 *   {messages: [{role, content}]}                       a conversation
 *   {prompt, completion}                                texts or lists of messages
 *   {instruction, input?, output, system?, history?}    Alpaca
 *   {conversations: [{from, value}], system?}           ShareGPT
 *   {prompt?, chosen, rejected}                         a preference: texts, messages, or Alpaca's and ShareGPT's prompt
 *
 * Flow: records.ts → exampleOf → token-cache.ts.   Source: the shapes of TRL and of LLaMA-Factory's data.
 */
import type { ChatMessage } from "../../generate/chat-format/messages.ts";
import { CriaError } from "../../shared/errors.ts";
import type { DataRecord } from "./records.ts";

export type Example =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "chat"; readonly messages: readonly ChatMessage[] }
  | {
      readonly kind: "preference";
      readonly prompt: readonly ChatMessage[];
      readonly chosen: readonly ChatMessage[];
      readonly rejected: readonly ChatMessage[];
    };

type Fields = DataRecord["fields"];

/** @throws {CriaError} "bad-file" that says which fields came and which are known. */
export function exampleOf({ fields, where }: DataRecord): Example {
  if ("chosen" in fields && "rejected" in fields) return preferenceOf(fields, where);
  if (typeof fields.text === "string") return { kind: "text", text: fields.text };
  if ("messages" in fields) return chat(messagesOf(fields.messages, where), where);
  if ("conversations" in fields)
    return chat([...systemOf(fields), ...messagesOf(fields.conversations, where)], where);
  if ("prompt" in fields && ("completion" in fields || "response" in fields)) {
    const answer = fields.completion ?? fields.response;
    return chat([...promptOf(fields.prompt, where), ...answerOf(answer, where)], where);
  }
  if (typeof fields.instruction === "string" && typeof fields.output === "string")
    return chat([...alpacaPrompt(fields, where), { role: "assistant", content: fields.output }], where);
  throw new CriaError(
    "bad-file",
    `${where}: the fields ${Object.keys(fields).join(", ") || "(none)"} are no known shape; expected text, messages, ` +
      "conversations, prompt with completion, instruction with output, or chosen with rejected",
  );
}

function chat(messages: readonly ChatMessage[], where: string): Example {
  if (!messages.some(({ role }) => role === "assistant"))
    throw new CriaError("bad-file", `${where}: a conversation without an answer of the assistant`);
  return { kind: "chat", messages };
}

function preferenceOf(fields: Fields, where: string): Example {
  const prompt =
    "prompt" in fields
      ? promptOf(fields.prompt, where)
      : "conversations" in fields
        ? [...systemOf(fields), ...messagesOf(fields.conversations, where)]
        : typeof fields.instruction === "string"
          ? alpacaPrompt(fields, where)
          : undefined;
  if (prompt) {
    const [chosen, rejected] = [answerOf(fields.chosen, where), answerOf(fields.rejected, where)];
    return { kind: "preference", prompt, chosen, rejected };
  }
  // The prompt is what both conversations begin with.
  const chosen = transcriptOf(fields.chosen, where);
  const rejected = transcriptOf(fields.rejected, where);
  let shared = 0;
  while (
    shared < Math.min(chosen.length, rejected.length) - 1 &&
    chosen[shared].role === rejected[shared].role &&
    chosen[shared].content === rejected[shared].content
  )
    shared++;
  if (shared === 0)
    throw new CriaError(
      "bad-file",
      `${where}: chosen and rejected begin differently, and there is no prompt`,
    );
  return {
    kind: "preference",
    prompt: chosen.slice(0, shared),
    chosen: chosen.slice(shared),
    rejected: rejected.slice(shared),
  };
}

/** Messages, or a text with the turns `Human:` and `Assistant:` as Anthropic's data has it. */
function transcriptOf(value: unknown, where: string): ChatMessage[] {
  if (typeof value !== "string") return messagesOf(value, where);
  const turns = value.split(/\n\n(Human|Assistant):/).slice(1);
  const messages: ChatMessage[] = [];
  for (let i = 0; i + 1 < turns.length; i += 2)
    messages.push({ role: turns[i] === "Human" ? "user" : "assistant", content: turns[i + 1].trim() });
  if (messages.length < 2)
    throw new CriaError(
      "bad-file",
      `${where}: a preference without a prompt, whose texts hold no Human: and Assistant: turns`,
    );
  return messages;
}

function promptOf(value: unknown, where: string): ChatMessage[] {
  return typeof value === "string" ? [{ role: "user", content: value }] : messagesOf(value, where);
}

/** A text, a message, or messages, of the assistant. */
function answerOf(value: unknown, where: string): ChatMessage[] {
  if (typeof value === "string") return [{ role: "assistant", content: value }];
  return Array.isArray(value) ? messagesOf(value, where) : messagesOf([value], where);
}

function systemOf(fields: Fields): ChatMessage[] {
  return typeof fields.system === "string" && fields.system !== ""
    ? [{ role: "system", content: fields.system }]
    : [];
}

function alpacaPrompt(fields: Fields, where: string): ChatMessage[] {
  const history = (Array.isArray(fields.history) ? fields.history : []).flatMap(
    (turn: unknown): ChatMessage[] => {
      if (!Array.isArray(turn) || typeof turn[0] !== "string" || typeof turn[1] !== "string")
        throw new CriaError("bad-file", `${where}: history: expected pairs of a question and an answer`);
      return [
        { role: "user", content: turn[0] },
        { role: "assistant", content: turn[1] },
      ];
    },
  );
  const input = typeof fields.input === "string" && fields.input !== "" ? `\n${fields.input}` : "";
  return [
    ...systemOf(fields),
    ...history,
    { role: "user", content: `${String(fields.instruction)}${input}` },
  ];
}

const rolesOf: Readonly<Record<string, ChatMessage["role"]>> = {
  ...{ system: "system", user: "user", human: "user", assistant: "assistant", gpt: "assistant" },
  ...{ tool: "tool", observation: "tool" },
};

/** {role, content} or ShareGPT's {from, value}. */
function messagesOf(value: unknown, where: string): ChatMessage[] {
  if (!Array.isArray(value)) throw new CriaError("bad-file", `${where}: expected a list of messages`);
  return value.map((entry: unknown) => {
    const message = (entry ?? {}) as Record<string, unknown>;
    const role = rolesOf[String(message.role ?? message.from)];
    const content = message.content ?? message.value;
    if (role === undefined || typeof content !== "string")
      throw new CriaError(
        "bad-file",
        `${where}: a message needs a role (${Object.keys(rolesOf).join(", ")}) and a text, got ${JSON.stringify(entry)?.slice(0, 80)}`,
      );
    return { role, content };
  });
}

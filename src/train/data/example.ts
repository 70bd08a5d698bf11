/**
 * What a record is to learn from, told by its fields:
 *
 *   text                                       a text
 *   messages [{role, content}]                 a conversation
 *   conversations [{from, value}], system      the same, as ShareGPT writes it
 *   prompt, completion (or response)           a question and its answer; strings or messages
 *   instruction, input, output, system, history   the same, as Alpaca writes it
 *   chosen, rejected                           two answers of which one is preferred; with one of the prompts above,
 *                                              or both with the conversation before them, whether there is a prompt or not
 *
 * Beside any conversation, `tools` are the functions that its assistant may call. A `label` of false marks an answer that
 * people did not like: nobody should learn it. Tables of text have lists as JSON.
 *
 * Flow: records.ts → exampleOf → encode.ts.
 * Source: the data formats of TRL and of LLaMA-Factory.
 */
import type { ChatEncodeOptions } from "../../generate/chat-format/chat-format.ts";
import type { ChatMessage, ToolCall } from "../../generate/chat-format/messages.ts";
import { CriaError } from "../../shared/errors.ts";
import { dialogOf } from "./dialog-text.ts";
import type { DataRecord } from "./records.ts";

/** Functions that an assistant may call, as chat formats take them. */
export type ExampleTools = NonNullable<ChatEncodeOptions["tools"]>;

export type Example =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "chat"; readonly messages: readonly ChatMessage[]; readonly tools?: ExampleTools }
  | {
      readonly kind: "preference";
      readonly tools?: ExampleTools;
      readonly prompt: readonly ChatMessage[];
      readonly chosen: readonly ChatMessage[];
      readonly rejected: readonly ChatMessage[];
    };

const known =
  "text; messages; conversations; prompt and completion; instruction and output; chosen and rejected, with or without prompt";

/**
 * Returns undefined for a record that there is nothing to learn from: no text, no answer, or one that people disliked.
 *
 * @throws {CriaError} "bad-file" for fields that are not known or of the wrong type.
 */
export function exampleOf(record: DataRecord): Example | undefined {
  // In tables of text Python writes False, and spreadsheets FALSE.
  if (String(record.fields.label).toLowerCase() === "false") return undefined;
  const reader = new FieldReader(record.fields, record.where);
  const example = exampleIn(reader, record);
  if (!example || example.kind === "text") return example;
  const tools = reader.tools();
  return tools.length > 0 ? { ...example, tools } : example;
}

function exampleIn(reader: FieldReader, { fields, where }: DataRecord): Example | undefined {
  if (reader.has("chosen") && reader.has("rejected")) return preferenceOf(reader);
  if (reader.has("messages") || reader.has("conversations")) return chatOf(reader.prompt());
  if (reader.has("text")) {
    const text = reader.text("text");
    return text.trim() === "" ? undefined : { kind: "text", text };
  }
  const answer = ["completion", "response", "output"].find((name) => reader.has(name));
  if (answer !== undefined && (reader.has("prompt") || reader.has("instruction")))
    return chatOf([...reader.prompt(), ...reader.answer(answer)]);
  if (isKnown(fields)) return undefined;
  throw new CriaError(
    "bad-file",
    `${where}: the fields ${Object.keys(fields).join(", ") || "(none)"} are no known shape; expected ${known}`,
  );
}

/** Whether the fields are those of a shape, values aside: a row of a table can have null in them. */
function isKnown(fields: DataRecord["fields"]): boolean {
  const some = (...names: string[]) => names.some((name) => name in fields);
  return (
    some("text", "messages", "conversations") ||
    (some("chosen") && some("rejected")) ||
    (some("prompt", "instruction") && some("completion", "response", "output"))
  );
}

function chatOf(messages: readonly ChatMessage[]): Example | undefined {
  const isAnswered = messages.some((message) => message.role === "assistant" && saysSomething(message));
  return isAnswered ? { kind: "chat", messages } : undefined;
}

function preferenceOf(reader: FieldReader): Example | undefined {
  const prompt = reader.prompt();
  const chosen = reader.answer("chosen");
  const rejected = reader.answer("rejected");
  const isWhole = [chosen, rejected].some(([first]) => first?.role === "user" || first?.role === "system");
  if (prompt.length > 0 && !isWhole) return pairOf(prompt, chosen, rejected);
  // Both hold the whole conversation, in TRL's sets even beside a prompt; what they share is the prompt.
  let shared = 0;
  while (shared < Math.min(chosen.length, rejected.length) && equal(chosen[shared], rejected[shared]))
    shared++;
  while (shared > 0 && chosen[shared - 1].role === "assistant") shared--;
  if (shared === 0) return undefined;
  const system = chosen[0].role === "system" ? [] : prompt.filter(({ role }) => role === "system");
  return pairOf([...system, ...chosen.slice(0, shared)], chosen.slice(shared), rejected.slice(shared));
}

function pairOf(
  prompt: readonly ChatMessage[],
  chosen: readonly ChatMessage[],
  rejected: readonly ChatMessage[],
): Example | undefined {
  const usable = [chosen, rejected].every((answer) => answer.length > 0 && answer.every(saysSomething));
  const differ =
    chosen.length !== rejected.length || chosen.some((message, i) => !equal(message, rejected[i]));
  return usable && differ && prompt.length > 0 ? { kind: "preference", prompt, chosen, rejected } : undefined;
}

function saysSomething({ content, toolCalls }: ChatMessage): boolean {
  return content.trim() !== "" || toolCalls !== undefined;
}

function equal(a: ChatMessage, b: ChatMessage): boolean {
  const [ofA, ofB] = [a, b].map(({ toolCalls }) => JSON.stringify(toolCalls));
  return a.role === b.role && a.content === b.content && ofA === ofB;
}

const roles: Readonly<Record<string, ChatMessage["role"]>> = {
  ...{ system: "system", developer: "system", user: "user", human: "user", prompter: "user" },
  ...{ assistant: "assistant", gpt: "assistant", bot: "assistant", model: "assistant", chatgpt: "assistant" },
  ...{ tool: "tool", observation: "tool", function: "tool" },
};

/** Reads the fields of a record, with messages that say where it stands. */
class FieldReader {
  readonly #fields: Readonly<Record<string, unknown>>;
  readonly #where: string;

  constructor(fields: Readonly<Record<string, unknown>>, where: string) {
    this.#fields = fields;
    this.#where = where;
  }

  /** Whether the field is there and holds something: tables fill in null where a column has no value. */
  has(name: string): boolean {
    return this.#fields[name] !== undefined && this.#fields[name] !== null;
  }

  text(name: string): string {
    const value = this.#fields[name];
    if (typeof value === "string") return value;
    throw this.#wrong(name, "a string", value);
  }

  /** The conversation before the answer, in whatever shape. */
  prompt(): ChatMessage[] {
    const system = this.has("system") ? this.text("system") : "";
    const first: ChatMessage[] = system.trim() === "" ? [] : [{ role: "system", content: system }];
    const list = ["messages", "conversations"].find((name) => this.has(name));
    if (list !== undefined)
      return [...first, ...this.#messages(list, this.#list(list, "a list of messages"))];
    if (Array.isArray(this.#fields.prompt))
      return [...first, ...this.#messages("prompt", this.#fields.prompt)];
    if (this.has("prompt")) return [...first, { role: "user", content: this.text("prompt") }];
    if (!this.has("instruction")) return first;
    const input = this.has("input") ? this.text("input") : "";
    const instruction = this.text("instruction");
    const content = input.trim() === "" ? instruction : `${instruction}\n${input}`;
    return [...first, ...this.#history(), { role: "user", content }];
  }

  /** An answer as text, as one message or as a list of messages. */
  answer(name: string): ChatMessage[] {
    const value = this.#fields[name];
    if (typeof value === "string")
      return dialogOf(value) ?? (value.trim() === "" ? [] : [{ role: "assistant", content: value }]);
    return this.#messages(name, Array.isArray(value) ? value : [value]);
  }

  /** The functions that the assistant may call, as OpenAI describes them; ShareGPT's lack the frame around each. */
  tools(): Readonly<Record<string, unknown>>[] {
    if (!this.has("tools")) return [];
    return this.#list("tools", "a list of functions").map((value) => {
      if (typeof value !== "object" || value === null)
        throw this.#wrong("tools", "a list of functions", value);
      return "name" in value && !("function" in value) ? { type: "function", function: value } : { ...value };
    });
  }

  #history(): ChatMessage[] {
    if (!this.has("history")) return [];
    return this.#list("history", "a list of pairs").flatMap((turn: unknown): ChatMessage[] => {
      if (!Array.isArray(turn) || turn.length !== 2 || !turn.every((text) => typeof text === "string"))
        throw this.#wrong("history", "pairs of strings", turn);
      return [
        { role: "user", content: turn[0] },
        { role: "assistant", content: turn[1] },
      ];
    });
  }

  /** A list, or the JSON of one, which is how a cell of a table holds it; an empty cell holds none. */
  #list(name: string, expected: string): unknown[] {
    const value = this.#fields[name];
    if (Array.isArray(value)) return value;
    if (typeof value === "string") {
      if (value.trim() === "") return [];
      try {
        const parsed: unknown = JSON.parse(value);
        if (Array.isArray(parsed)) return parsed;
      } catch {
        // Said below.
      }
    }
    throw this.#wrong(name, expected, value);
  }

  #messages(name: string, list: unknown): ChatMessage[] {
    return (list as unknown[]).map((value, index): ChatMessage => {
      const field = `${name}[${index}]`;
      if (typeof value !== "object" || value === null) throw this.#wrong(field, "a message", value);
      const message = value as Record<string, unknown>;
      const named = String(message.role ?? message.from);
      if (named === "function_call")
        return { role: "assistant", content: "", toolCalls: [this.#toolCall(field, message.value)] };
      const role = roles[named];
      const calls = Array.isArray(message.tool_calls) ? message.tool_calls : [];
      // An assistant that calls a function, or has nothing to say, has null here.
      const content = message.content ?? message.value ?? (role === "assistant" ? "" : undefined);
      if (role === undefined) throw this.#wrong(`${field}.role`, Object.keys(roles).join(", "), named);
      if (typeof content !== "string") throw this.#wrong(`${field}.content`, "a string", content);
      return {
        role,
        content,
        ...(typeof message.name === "string" ? { name: message.name } : {}),
        ...(calls.length > 0 ? { toolCalls: calls.map((call) => this.#toolCall(field, call)) } : {}),
        ...(typeof message.tool_call_id === "string" ? { toolCallId: message.tool_call_id } : {}),
      };
    });
  }

  /** A call as ShareGPT has it, JSON of {name, arguments}, or as OpenAI: {id, function} with arguments as JSON. */
  #toolCall(field: string, value: unknown): ToolCall {
    const parsed = (part: unknown) => (typeof part === "string" ? (JSON.parse(part) as unknown) : part);
    try {
      const call = parsed(value) as Record<string, unknown>;
      const { name, arguments: text } = (call.function ?? call) as Record<string, unknown>;
      const given = parsed(text);
      if (typeof name === "string" && typeof given === "object" && given !== null)
        return {
          ...(typeof call.id === "string" ? { id: call.id } : {}),
          name,
          arguments: given as Record<string, unknown>,
        };
    } catch {
      // Said below.
    }
    throw this.#wrong(field, 'a call as {"name", "arguments"}', value);
  }

  #wrong(name: string, expected: string, found: unknown): CriaError {
    const kind = found === null || found === undefined ? "nothing" : typeof found;
    const shown = typeof found === "string" ? JSON.stringify(found.slice(0, 60)) : kind;
    return new CriaError("bad-file", `${this.#where}: ${name}: expected ${expected}, found ${shown}`);
  }
}

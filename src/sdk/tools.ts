/**
 * Functions that a model may call, and the loop that runs them.
 *
 *   const weather = defineTool({
 *     name: "weather",
 *     description: "The weather of a city",
 *     parameters: z.object({ city: z.string() }),
 *     run: ({ city }) => fetchWeather(city),
 *   });
 *   const { text } = await chatWithTools(model, messages, [weather]);
 *
 * The loop: answer → calls? → run them → results to the conversation → answer again, until one has no calls.
 */
import type { ChatMessage } from "../generate/chat-format/messages.ts";
import type { GenerateOptions, GenerationResult } from "../generate/generate.ts";
import { type JsonSchemaObject, toJsonSchema } from "../generate/json.ts";
import type { Model } from "../generate/model.ts";
import { isStandardSchema, issuesText, type StandardSchema } from "../generate/standard-schema.ts";
import { CriaError, throwIfAborted } from "../shared/errors.ts";
import { type FunctionDescription, toolAnswer } from "./tool-answer.ts";

export interface ToolRunOptions {
  /** The conversation's; one that never fires where it has none. */
  readonly signal: AbortSignal;
}

/** A zod schema or another library's, which also checks the arguments, or a plain JSON schema. */
export type ArgumentsSchema = StandardSchema | JsonSchemaObject;
export type ArgumentsOf<Schema extends ArgumentsSchema> =
  Schema extends StandardSchema<infer Arguments> ? Arguments : Readonly<Record<string, unknown>>;

/** A function with the schema of its arguments. */
export interface Tool<Schema extends ArgumentsSchema = ArgumentsSchema> {
  readonly name: string;
  readonly description?: string;
  readonly parameters: Schema;
  /** The result goes to the model: a string as it is, anything else as JSON. */
  // A method, so that tools of any arguments fit in one list.
  run(args: ArgumentsOf<Schema>, options: ToolRunOptions): unknown;
}

/** Gives a tool the types of its schema. */
export function defineTool<const Schema extends ArgumentsSchema>(tool: Tool<Schema>): Tool<Schema> {
  if (!/^[A-Za-z0-9_.-]{1,64}$/.test(tool.name))
    throw new CriaError(
      "bad-input",
      `tool: expected a name of 1 to 64 letters, digits, _ . or -, got ${JSON.stringify(tool.name)}`,
    );
  return tool;
}

/** One call and what came of it. */
export interface ToolRun {
  readonly name: string;
  readonly arguments: unknown;
  /** What the model was told. */
  readonly result: string;
  /** The function threw, or its arguments did not fit; the model was told so. */
  readonly failed: boolean;
}

export interface ToolChatOptions extends Omit<GenerateOptions, "constraint"> {
  /** Answers at most, the last one without tools. Default 8. */
  readonly maxSteps?: number;
  /** Called with pieces of text as they are made, those before calls too. */
  readonly onText?: (text: string) => void;
  readonly onToolRun?: (run: ToolRun) => void;
}

export interface ToolChatResult extends GenerationResult {
  readonly runs: readonly ToolRun[];
  /** The conversation with all calls, results and the answer. */
  readonly messages: readonly ChatMessage[];
}

/**
 * Answers a conversation, running the functions that the model calls.
 *
 * @throws {CriaError} "bad-input" for two tools of one name, "aborted", and what `generate` throws. What a tool throws
 * is told to the model instead.
 */
export async function chatWithTools(
  model: Model,
  messages: readonly ChatMessage[],
  tools: readonly Tool[],
  { maxSteps = 8, onText, onToolRun, ...options }: ToolChatOptions = {},
): Promise<ToolChatResult> {
  if (!(Number.isInteger(maxSteps) && maxSteps >= 1))
    throw new CriaError("bad-input", `maxSteps is ${maxSteps}; expected an integer of at least 1`);
  const byName = new Map(tools.map((tool) => [tool.name, tool]));
  if (byName.size !== tools.length) throw new CriaError("bad-input", "tools: two of them have the same name");
  const functions = tools.map(describe);
  const conversation = [...messages];
  const runs: ToolRun[] = [];
  for (let step = 1; ; step++) {
    const last = step === maxSteps;
    const { text, calls, result } = await answerOnce(
      model,
      conversation,
      last ? [] : functions,
      options,
      onText,
    );
    if (calls.length === 0) {
      conversation.push({ role: "assistant", content: text });
      return { ...result, text, runs, messages: conversation };
    }
    const ids = calls.map((_, index) => `call_${runs.length + index}`);
    const parsed = calls.map((call) => parseArguments(call.text));
    conversation.push({
      role: "assistant",
      content: text,
      toolCalls: calls.map(({ name }, i) => ({ id: ids[i], name, arguments: parsed[i] ?? {} })),
    });
    for (const [i, { name }] of calls.entries()) {
      throwIfAborted(options.signal);
      const run = await runTool(byName.get(name), name, parsed[i], options.signal);
      runs.push(run);
      onToolRun?.(run);
      conversation.push({ role: "tool", content: run.result, name, toolCallId: ids[i] });
    }
  }
}

interface CallText {
  readonly name: string;
  text: string;
}

async function answerOnce(
  model: Model,
  messages: readonly ChatMessage[],
  functions: readonly FunctionDescription[],
  options: Omit<GenerateOptions, "constraint">,
  onText: ((text: string) => void) | undefined,
): Promise<{ text: string; calls: CallText[]; result: GenerationResult }> {
  const steps = toolAnswer(model, { messages, functions, options });
  let text = "";
  const calls: CallText[] = [];
  try {
    for (;;) {
      const { done, value } = await steps.next();
      // A call that the token limit cut is none: its arguments are incomplete.
      if (done) return { text, calls: value.called ? calls : [], result: value.result };
      text += value.content;
      if (value.content !== "") onText?.(value.content);
      for (const { index, name, argumentsText } of value.calls) {
        if (name !== undefined) calls[index] = { name, text: "" };
        calls[index].text += argumentsText;
      }
    }
  } finally {
    // An answer whose caller threw would keep its sequence for ever.
    await steps.return(undefined as never);
  }
}

function describe({ name, description, parameters }: Tool): FunctionDescription {
  const { $schema: _, ...schema } = toJsonSchema(parameters);
  return { name, ...(description === undefined ? {} : { description }), parameters: schema };
}

function parseArguments(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value))
      return value as Record<string, unknown>;
  } catch {}
  return undefined;
}

async function runTool(
  tool: Tool | undefined,
  name: string,
  args: Record<string, unknown> | undefined,
  signal: AbortSignal | undefined,
): Promise<ToolRun> {
  const failed = (reason: string): ToolRun => ({
    name,
    arguments: args,
    result: `Error: ${reason}`,
    failed: true,
  });
  if (!tool) return failed(`there is no function ${name}`);
  if (!args) return failed("the arguments are no JSON object");
  let value: unknown = args;
  const { parameters } = tool;
  try {
    if (isStandardSchema(parameters)) {
      const checked = await parameters["~standard"].validate(args);
      if (checked.issues) return failed(`the arguments do not fit: ${issuesText(checked.issues)}`);
      value = checked.value;
    }
    const result = await untilAborted(signal, () =>
      tool.run(value as ArgumentsOf<ArgumentsSchema>, { signal: signal ?? new AbortController().signal }),
    );
    return {
      name,
      arguments: value,
      result: typeof result === "string" ? result : (JSON.stringify(result) ?? "null"),
      failed: false,
    };
  } catch (error) {
    throwIfAborted(signal);
    return failed(error instanceof Error ? error.message : String(error));
  }
}

/** What work gives, or an abort, whichever comes first: a tool may not look at its signal. */
async function untilAborted(signal: AbortSignal | undefined, work: () => unknown): Promise<unknown> {
  if (!signal) return work();
  let leave = (): void => {};
  const aborted = new Promise<never>((_, reject) => {
    leave = () => reject(signal.reason);
    signal.addEventListener("abort", leave, { once: true });
  });
  // A tool may abort and throw at once: then nobody waits for this.
  aborted.catch(() => {});
  try {
    return await Promise.race([work(), aborted]);
  } finally {
    signal.removeEventListener("abort", leave);
  }
}

/** The AI SDK's prompts, tools and choices as Cria's. */
import type {
  LanguageModelV4CallOptions,
  LanguageModelV4Message,
  LanguageModelV4ToolResultPart,
  SharedV4Warning,
} from "@ai-sdk/provider";
import type { ChatMessage } from "../generate/chat-format/messages.ts";
import type { GenerateOptions } from "../generate/generate.ts";
import type { FunctionDescription } from "../sdk/tool-answer.ts";
import { defined } from "../shared/defined.ts";
import { CriaError } from "../shared/errors.ts";

/** @throws {CriaError} "unsupported" for images and files that are not plain text: the models read text. */
export function messagesOf(prompt: readonly LanguageModelV4Message[]): ChatMessage[] {
  return prompt.flatMap((message): ChatMessage[] => {
    switch (message.role) {
      case "system":
        return [{ role: "system", content: message.content }];
      case "user":
        return [{ role: "user", content: message.content.map(textOf).join("") }];
      case "assistant": {
        const toolCalls = message.content.flatMap((part) =>
          part.type === "tool-call"
            ? [{ id: part.toolCallId, name: part.toolName, arguments: objectOf(part.input) }]
            : [],
        );
        const content = message.content.map((part) => (part.type === "text" ? part.text : "")).join("");
        return [{ role: "assistant", content, ...(toolCalls.length > 0 ? { toolCalls } : {}) }];
      }
      case "tool":
        return message.content.flatMap((part) =>
          part.type === "tool-result"
            ? [
                {
                  role: "tool",
                  content: resultText(part.output),
                  name: part.toolName,
                  toolCallId: part.toolCallId,
                },
              ]
            : [],
        );
    }
    return message satisfies never;
  });
}

function textOf(part: Extract<LanguageModelV4Message, { role: "user" }>["content"][number]): string {
  if (part.type === "text") return part.text;
  if (part.data.type === "text") return part.data.text;
  throw new CriaError(
    "unsupported",
    `a prompt with a file of type ${part.mediaType}: the models read text only`,
  );
}

function objectOf(input: unknown): Record<string, unknown> {
  return typeof input === "object" && input !== null && !Array.isArray(input)
    ? (input as Record<string, unknown>)
    : { input };
}

function resultText(output: LanguageModelV4ToolResultPart["output"]): string {
  switch (output.type) {
    case "text":
    case "error-text":
      return output.value;
    case "json":
    case "error-json":
      return JSON.stringify(output.value);
    case "execution-denied":
      return `Error: the call was denied${output.reason === undefined ? "" : `: ${output.reason}`}`;
    case "content":
      return output.value.map((part) => (part.type === "text" ? part.text : `[${part.type}]`)).join("\n");
  }
  return output satisfies never;
}

/** The functions among the tools; the provider's own kinds are warned of. */
export function functionsOf(
  tools: LanguageModelV4CallOptions["tools"],
  warnings: SharedV4Warning[],
): FunctionDescription[] {
  return (tools ?? []).flatMap((tool) => {
    if (tool.type !== "function") {
      warnings.push({
        type: "unsupported",
        feature: `tool ${tool.id}`,
        details: "only functions can be called",
      });
      return [];
    }
    const { name, description, inputSchema } = tool;
    const { $schema: _, ...parameters } = inputSchema as Record<string, unknown>;
    return [{ name, ...(description === undefined ? {} : { description }), parameters }];
  });
}

export function generateOptionsOf(options: LanguageModelV4CallOptions): Omit<GenerateOptions, "constraint"> {
  const { maxOutputTokens, temperature, topP, topK, presencePenalty, frequencyPenalty, seed } = options;
  return defined({
    maxTokens: maxOutputTokens,
    temperature,
    topP,
    topK,
    presencePenalty,
    frequencyPenalty,
    seed,
    stop: options.stopSequences,
    signal: options.abortSignal,
  });
}

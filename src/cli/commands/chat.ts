/** `cria chat`: talk with a model in the terminal, or answer the lines of a pipe. */
import type { Command } from "commander";
import type { Model } from "../../generate/model.ts";
import { Conversation } from "../chat/conversation.ts";
import { historyPath } from "../chat/history-file.ts";
import { type MessageReader, pipeReader, TerminalReader } from "../chat/message-reader.ts";
import { ChatSession } from "../chat/session.ts";
import { unescapeText } from "../escapes.ts";
import { addInputOptions, type InputFlags, optionText, readTextFile } from "../input.ts";
import { loadNamed } from "../load-named.ts";
import {
  type AnswerFlags,
  addAnswerOptions,
  addRunOptions,
  answerOptions,
  type RunFlags,
} from "../options.ts";
import { addPromptCacheOption, type PromptCacheFlags, withPromptCache } from "../prompt-cache.ts";
import { formatInteger } from "../quantities.ts";
import { errorColors, notice } from "../terminal.ts";

interface Flags extends RunFlags, AnswerFlags, InputFlags, PromptCacheFlags {
  readonly systemPrompt?: string;
  readonly systemPromptFile?: string;
  readonly chatTemplate?: string;
  readonly chatTemplateFile?: string;
  readonly history: boolean;
}

export function addChatCommand(program: Command): void {
  const command = program
    .command("chat")
    .description("talk with a model")
    .argument("[model]", "the same as -m");
  addInputOptions(command.optionsGroup("Conversation:"), "the first message")
    .option("--system-prompt <text>", "what the model should know or be (-sys)")
    .option("--system-prompt-file <path>", "read it from a file (-sysf)")
    .option(
      "--chat-template <name>",
      "a built-in chat format or a Jinja template, instead of the model's own",
    )
    .option("--chat-template-file <path>", "read the template from a file")
    .option("--no-history", "neither read nor keep typed lines");
  addPromptCacheOption(addRunOptions(command));
  addAnswerOptions(command);
  command.action(async (name: string | undefined, flags: Flags) => {
    const first = await optionText(command, flags);
    const system = await systemPrompt(flags);
    const template = flags.chatTemplateFile ? await readTextFile(flags.chatTemplateFile) : flags.chatTemplate;
    using model = await loadNamed({
      ...flags,
      ...(name === undefined ? {} : { model: name }),
      ...(template === undefined ? {} : { chatTemplate: template }),
    });
    const interactive = process.stdin.isTTY === true;
    if (interactive) greet(model);
    const reader = interactive ? terminalReader(flags.history) : pipeReader(process.stdin);
    try {
      const conversation = new Conversation(system);
      if (interactive && first !== undefined) notice(`${PROMPT}${first}`);
      const session = new ChatSession({
        model,
        conversation,
        reader,
        options: answerOptions(flags),
        interactive,
      });
      await withPromptCache(model, flags, () => session.run(first));
    } finally {
      reader.close();
    }
  });
}

async function systemPrompt(flags: Flags): Promise<string | undefined> {
  if (flags.systemPromptFile !== undefined)
    return (await readTextFile(flags.systemPromptFile)).replace(/\r?\n$/, "");
  const { systemPrompt: text, escape: unescapes } = flags;
  return text === undefined || !unescapes ? text : unescapeText(text);
}

const PROMPT = errorColors.cyan("> ");

function terminalReader(keepsHistory: boolean): MessageReader {
  return new TerminalReader({
    input: process.stdin,
    output: process.stdout.isTTY ? process.stdout : process.stderr,
    prompt: PROMPT,
    morePrompt: errorColors.cyan("… "),
    historyPath: keepsHistory ? historyPath() : undefined,
    onFirstInterrupt: () => notice(errorColors.dim("[Ctrl-C again or Ctrl-D ends the chat]")),
  });
}

function greet(model: Model): void {
  notice(
    `${errorColors.bold(model.name)} ${errorColors.dim(`· context ${formatInteger(model.contextLength)} tokens`)}`,
  );
  notice(errorColors.dim("Type a message. /help lists commands, Ctrl-C stops an answer, Ctrl-D ends.\n"));
}

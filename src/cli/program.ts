/**
 * All commands, and how one of them is run.
 *
 * Flow: main.ts (arguments) → normalizeArguments → commander → commands/ → the SDK.
 */
import { Command } from "commander";
import { normalizeArguments } from "./arguments.ts";
import { addChatCommand } from "./commands/chat.ts";
import { addConvertCommand } from "./commands/convert.ts";
import { addGenerateCommand } from "./commands/generate.ts";
import { addInspectCommand } from "./commands/inspect.ts";
import { addListCommand } from "./commands/list.ts";
import { addPerplexityCommand } from "./commands/perplexity.ts";
import { addPullCommand } from "./commands/pull.ts";
import { addServeCommand } from "./commands/serve.ts";
import { addTokenizeCommand } from "./commands/tokenize.ts";
import { addTrainCommand } from "./commands/train.ts";
import { reportFailure } from "./failure.ts";
import { endOnClosedPipe, notice } from "./terminal.ts";
import { packageVersion } from "./version.ts";

function createProgram(): Command {
  const program = new Command("cria")
    .description("Chat with a Llama model on your own machine.")
    .version(packageVersion(), "-V, --version", "print the version")
    .helpOption("-h, --help", "explain the command")
    .helpCommand("help [command]", "explain a command")
    .configureHelp({ sortOptions: false, showGlobalOptions: false })
    .exitOverride()
    .showSuggestionAfterError()
    .addHelpText("after", "\nExample: cria chat -m hf:bartowski/SmolLM2-135M-Instruct-GGUF:Q4_K_M");
  addChatCommand(program);
  addGenerateCommand(program);
  addServeCommand(program);
  addPerplexityCommand(program);
  addInspectCommand(program);
  addTokenizeCommand(program);
  addPullCommand(program);
  addListCommand(program);
  addConvertCommand(program);
  addTrainCommand(program);
  return program;
}

/** Commands whose command lines may come from llama-cli, llama-server or llama-perplexity. */
const LIKE_LLAMA_CPP: ReadonlySet<string> = new Set(["chat", "generate", "serve", "perplexity"]);

/** The arguments with llama.cpp's spellings resolved for the command that they name. */
function argumentsFor(program: Command, given: readonly string[]): string[] {
  const [name, ...rest] = given;
  const command = program.commands.find((candidate) => candidate.name() === name);
  if (name === undefined || !command) return [...given];
  const withValue = new Set<string | undefined>();
  for (const { required, short, long } of command.options) if (required) withValue.add(short).add(long);
  const leftOut = LIKE_LLAMA_CPP.has(name)
    ? (flag: string) => notice(`${flag} has no effect here`)
    : undefined;
  return [name, ...normalizeArguments(rest, (flag) => withValue.has(flag), leftOut)];
}

/** Runs the command that the arguments name, and sets the exit code. */
export async function runCommandLine(given: readonly string[]): Promise<void> {
  endOnClosedPipe();
  const program = createProgram();
  try {
    if (given.length === 0) program.outputHelp();
    else await program.parseAsync(argumentsFor(program, given), { from: "user" });
  } catch (error) {
    const verbose = given.includes("--verbose") || given.includes("-v") || Boolean(process.env.DEBUG);
    process.exitCode = reportFailure(error, verbose);
  }
}

/**
 * `cria serve`: a model behind OpenAI's API and Ollama's, with the chat page where it is built.
 *
 * The server's libraries are loaded when it starts: they would slow down the start of every other command.
 */
import { type Command, Option } from "commander";
import { collect, integer } from "../number-arguments.ts";
import { addRunOptions } from "../options.ts";
import type { ServeFlags } from "../serve/serve.ts";

export function addServeCommand(program: Command): void {
  const command = program
    .command("serve")
    .description("serve a model to programs that speak OpenAI's API or Ollama's")
    .argument("[model]", "the same as -m")
    .optionsGroup("Server:")
    .addOption(
      new Option("--port <number>", "where to listen; 0: any free one")
        .env("LLAMA_ARG_PORT")
        .default(8080)
        .argParser(integer(0, 65_535)),
    )
    .addOption(
      new Option("--host <address>", "which network to listen to; 0.0.0.0: all, so that others reach it")
        .env("LLAMA_ARG_HOST")
        .default("127.0.0.1"),
    )
    .addOption(
      new Option("--api-key <key>", "requests must bring this key; can be repeated").argParser(collect),
    )
    .option("--api-key-file <path>", "read keys from a file, one a line")
    .option("-a, --alias <name>", "serve the model under this name; can be repeated", collect)
    .addOption(
      new Option(
        "--parallel <count>",
        "answers to make at the same time, each with a context of its own (-np; default: 4)",
      )
        .env("LLAMA_ARG_N_PARALLEL")
        .argParser(integer(1, 256)),
    )
    .addOption(
      new Option(
        "--queue <count>",
        "answers that are made or wait before requests get 429 (default: 256)",
      ).argParser(integer(1)),
    )
    .addOption(
      new Option("--timeout <seconds>", "the longest that one request may take (default: 600)").argParser(
        integer(1, 86_400),
      ),
    )
    .option("--allow-host <name>", "a host name to answer to besides localhost and addresses", collect)
    .option("--allow-origin <origin>", "let pages of this origin use the server, * for all", collect)
    .option("--page <folder>", "serve this built page at / (default: the chat page)")
    .option("--no-page", "serve no page")
    .option(
      "--data <file>",
      "keep the page's chats and ratings in this SQLite file (default: one for this user, if only this machine is listened to)",
    )
    .option("--no-data", "let the page keep them in the browser")
    .option("--chat-template <name>", "a built-in chat format or a Jinja template")
    .option("--chat-template-file <path>", "read the template from a file")
    .addOption(
      new Option("--grace <seconds>", "how long answers may go on after Ctrl-C")
        .default(10)
        .argParser(integer(0, 3600)),
    );
  addRunOptions(command);
  command.action(async (name: string | undefined, flags: ServeFlags) => {
    const { serve } = await import("../serve/serve.ts");
    await serve({ ...flags, ...(name === undefined ? {} : { model: name }) });
  });
}

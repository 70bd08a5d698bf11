/**
 * The options that several commands share, under llama.cpp's names.
 *
 * Flow: commander (flags) → commands → the SDK's options.
 */
import { type Command, Option } from "commander";
import type { GenerateOptions } from "../generate/generate.ts";
import type { SamplingOptions } from "../generate/sampler.ts";
import type { CacheFormat, CacheFormatOption } from "../model/cache-format.ts";
import { defined } from "../shared/defined.ts";
import { unescapeText } from "./escapes.ts";
import { cacheFormat, collect, decimal, integer, logitBias } from "./number-arguments.ts";

/** Which model, and how it is opened. */
export interface ModelFlags {
  readonly model?: string;
  readonly tokenizer?: string;
  readonly offline?: boolean;
  readonly verbose?: boolean;
}

/** How the model is run. */
export interface RunFlags extends ModelFlags {
  readonly ctxSize?: number;
  readonly cacheTypeK?: CacheFormat;
  readonly cacheTypeV?: CacheFormat;
  readonly threads?: number;
  readonly device?: "wasm" | "reference";
  readonly lora?: readonly string[];
}

/** How answers are made. */
export interface AnswerFlags {
  readonly predict: number;
  readonly temp?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly minP?: number;
  readonly repeatPenalty?: number;
  readonly repeatLastN?: number;
  readonly frequencyPenalty?: number;
  readonly presencePenalty?: number;
  readonly logitBias?: ReadonlyMap<number, number>;
  readonly seed?: number;
  readonly stop?: readonly string[];
  readonly ignoreEos?: boolean;
}

export function addModelOptions(command: Command): Command {
  return command
    .optionsGroup("Model:")
    .addOption(
      new Option("-m, --model <name>", "a file, a folder, hf:user/repo:QUANT or hf:user/repo/file.gguf").env(
        "LLAMA_ARG_MODEL",
      ),
    )
    .option(
      "--tokenizer <file>",
      "take the tokenizer from this file: tokenizer.json, .model or llama2.c's .bin",
    )
    .option("--offline", "use only what is on this machine")
    .option("-v, --verbose", "show the stack of errors");
}

export function addRunOptions(command: Command): Command {
  addModelOptions(command).addOption(
    new Option("-c, --ctx-size <tokens>", "positions for prompt and answer together; 0: the model's own")
      .env("LLAMA_ARG_CTX_SIZE")
      .argParser(integer(0)),
  );
  return addDeviceOptions(addLoraOption(addCacheOptions(command)));
}

export function addLoraOption(command: Command): Command {
  return command.option(
    "--lora <adapter>",
    "answer with this adapter (a GGUF file or a PEFT folder); can be repeated",
    collect,
  );
}

export function addCacheOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        "--cache-type-k <type>",
        "keep keys of the context as f16, or as q8_0 in half the room (-ctk)",
      )
        .env("LLAMA_ARG_CACHE_TYPE_K")
        .argParser(cacheFormat),
    )
    .addOption(
      new Option("--cache-type-v <type>", "the same for values (-ctv)")
        .env("LLAMA_ARG_CACHE_TYPE_V")
        .argParser(cacheFormat),
    );
}

export function addDeviceOptions(command: Command): Command {
  return command
    .addOption(
      new Option("-t, --threads <count>", "threads of the wasm device; -1: as the machine has, at most 8")
        .env("LLAMA_ARG_THREADS")
        .argParser(integer(-1, 64)),
    )
    .addOption(
      new Option(
        "--device <name>",
        "where to compute: wasm is the processor, reference slow plain TypeScript",
      ).choices(["wasm", "reference"]),
    );
}

export function addAnswerOptions(command: Command): Command {
  return command
    .optionsGroup("Answer:")
    .addOption(
      new Option("-n, --predict <tokens>", "tokens to make at most; -1: until the context is full")
        .env("LLAMA_ARG_N_PREDICT")
        .default(-1)
        .argParser(integer(-2)),
    )
    .option(
      "-r, --stop <text>",
      "end the answer before this text; can be repeated; escapes as in -p",
      collect,
    )
    .option("--ignore-eos", "never choose an end-of-text token")
    .optionsGroup("Sampling (where the model's file recommends a value, that is the default):")
    .option(
      "--temp <number>",
      "0 takes the likeliest token; higher is more surprising (default: 0.8)",
      decimal(0),
    )
    .option("--top-k <count>", "choose among this many likeliest tokens; 0: all (default: 40)", integer(0))
    .option(
      "--top-p <share>",
      "choose among the likeliest tokens of this share (default: 0.95)",
      decimal(0, 1),
    )
    .option(
      "--min-p <share>",
      "leave out tokens less likely than this share of the likeliest (default: 0.05)",
      decimal(0, 1),
    )
    .option("--repeat-penalty <factor>", "make recent tokens less likely; 1: off (default: 1)", decimal(0))
    .option(
      "--repeat-last-n <tokens>",
      "how far back penalties look; -1: everything (default: 64)",
      integer(-1),
    )
    .option(
      "--frequency-penalty <number>",
      "subtract for every time a recent token occurs (default: 0)",
      decimal(-Infinity),
    )
    .option("--presence-penalty <number>", "subtract once for recent tokens (default: 0)", decimal(-Infinity))
    .option(
      "-l, --logit-bias <id±bias>",
      "add to a token's logit: 15043+1, 29905-inf; can be repeated",
      logitBias,
    )
    .option("-s, --seed <number>", "equal seeds repeat a text; -1: random (default: -1)", integer(-1));
}

/** The SDK's options for an answer. */
export function answerOptions(flags: AnswerFlags): GenerateOptions {
  return {
    ...samplingOf(flags),
    ...defined({
      maxTokens: flags.predict < 0 ? undefined : flags.predict,
      stop: flags.stop?.map(unescapeText),
      neverEnd: flags.ignoreEos,
    }),
  };
}

/** The SDK's option for the cache; undefined where no flag was given. */
export function cacheOption(
  flags: Pick<RunFlags, "cacheTypeK" | "cacheTypeV">,
): CacheFormatOption | undefined {
  const formats = defined({ keys: flags.cacheTypeK, values: flags.cacheTypeV });
  return Object.keys(formats).length > 0 ? formats : undefined;
}

/** The sampling part of the SDK's options; what was not given is left out, so that its defaults apply. */
function samplingOf(flags: AnswerFlags): SamplingOptions {
  return defined({
    temperature: flags.temp,
    topK: flags.topK,
    topP: flags.topP,
    minP: flags.minP,
    repeatPenalty: flags.repeatPenalty,
    repeatLastN: flags.repeatLastN,
    frequencyPenalty: flags.frequencyPenalty,
    presencePenalty: flags.presencePenalty,
    logitBias: flags.logitBias,
    seed: flags.seed === -1 ? undefined : flags.seed,
  });
}

/** The model's name. Ends the program with a usage error when there is none. */
export function requireModel(command: Command, name: string | undefined): string {
  if (name !== undefined && name !== "") return name;
  return command.error("error: no model: name one with -m, such as -m model.gguf or -m hf:user/repo:Q4_K_M", {
    exitCode: 2,
  });
}

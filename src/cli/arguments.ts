/**
 * Brings what llama.cpp's users type into the form that commander reads: one long name per option.
 *
 *   -sys TEXT → --system-prompt TEXT      --n-predict 5 → --predict 5      --top_k 40 → --top-k 40      -hf a/b → --model hf:a/b
 *
 * Values are left alone: in `-p -sys`, `-sys` is the prompt. What llama.cpp needs and Cria does not, such as `-ngl 99`, is left out.
 *
 * Flow: process.argv → normalizeArguments → commander.
 */

/** Other spellings of options, each with the long name that commands declare. */
const ALIASES: Readonly<Record<string, string>> = {
  "-sys": "--system-prompt",
  "-sysf": "--system-prompt-file",
  "-np": "--parallel",
  "-ctk": "--cache-type-k",
  "-ctv": "--cache-type-v",
  "--n-predict": "--predict",
  "--temperature": "--temp",
  "--reverse-prompt": "--stop",
  "--chunk": "--ctx-size",
  "--show-count": "--count",
  "--usage": "--help",
  "--grammar-file": "--grammar",
};

/** llama.cpp's options that say how a model is loaded or how fast it runs, or what is so here anyway: they are left out. */
const WITHOUT_EFFECT: ReadonlySet<string> = new Set([
  ...["-fa", "--flash-attn", "--mlock", "--mmap", "--no-mmap", "-cb", "--cont-batching", "--jinja"],
  ...["--metrics", "--slots", "--embedding", "--embeddings", "-e", "--escape", "-cnv", "--conversation"],
]);
/** Those of them that have a value. */
const WITHOUT_EFFECT_VALUED: ReadonlySet<string> = new Set([
  ...["-ngl", "--gpu-layers", "--n-gpu-layers", "-b", "--batch-size", "-ub", "--ubatch-size"],
  ...["-tb", "--threads-batch", "--load-mode"],
]);

/** Spellings of a Hugging Face repository as llama.cpp has them: the value becomes a model name. */
const REPOSITORY_FLAGS: ReadonlySet<string> = new Set(["-hf", "-hfr", "--hf-repo"]);

/**
 * Rewrites the arguments after the command's name.
 *
 * @param takesValue whether the option of this name (short or long) consumes the next argument
 * @param onLeftOut told of options that have no effect here; without it they are errors, as for commands that llama.cpp's
 * programs have no like of: a `--batch-size` of `train` is meant otherwise
 */
export function normalizeArguments(
  argumentList: readonly string[],
  takesValue: (flag: string) => boolean,
  onLeftOut?: (flag: string) => void,
): string[] {
  const result: string[] = [];
  for (let index = 0; index < argumentList.length; index++) {
    const argument = argumentList[index];
    if (argument === "--") return [...result, ...argumentList.slice(index)];
    if (!argument.startsWith("-")) {
      result.push(argument);
      continue;
    }
    const [spelled, attached] = splitAttached(argument);
    const value = (): string[] => {
      if (attached !== undefined) return [attached];
      index++;
      return argumentList.slice(index, index + 1);
    };
    if (REPOSITORY_FLAGS.has(spelled)) {
      result.push("--model", ...value().map((name) => (name.startsWith("hf:") ? name : `hf:${name}`)));
      continue;
    }
    const dashed = spelled.startsWith("--") ? spelled.replaceAll("_", "-") : spelled;
    if (onLeftOut && (WITHOUT_EFFECT.has(dashed) || WITHOUT_EFFECT_VALUED.has(dashed))) {
      // Newer programs write `-fa on`.
      const isSwitched =
        /^(on|off|auto)$/.test(argumentList[index + 1] ?? "") && /^(-fa|--flash-attn)$/.test(dashed);
      if (WITHOUT_EFFECT_VALUED.has(dashed) || isSwitched) value();
      onLeftOut(spelled);
      continue;
    }
    const flag = ALIASES[dashed] ?? dashed;
    if (attached !== undefined) result.push(`${flag}=${attached}`);
    else result.push(flag, ...(takesValue(flag) ? value() : []));
  }
  return result;
}

/** `--name=value` in its parts; the value of other arguments is undefined. */
function splitAttached(argument: string): [flag: string, value: string | undefined] {
  const equals = argument.indexOf("=");
  if (!argument.startsWith("--") || equals < 0) return [argument, undefined];
  return [argument.slice(0, equals), argument.slice(equals + 1)];
}

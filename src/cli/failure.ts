/**
 * What a failed command says and with which number it exits.
 *
 *   1    what was asked for could not be done (CriaError): one line, no stack
 *   2    the command line was wrong: commander has said why
 *   130  ended by Ctrl-C
 *   70   a bug in Cria: the stack, and where to report it
 */
import { CommanderError } from "commander";
import { CriaError } from "../shared/errors.ts";
import { errorColors, notice } from "./terminal.ts";

const INTERRUPTED = 130;
const BUG = 70;

/** Reports the error on standard error and gives the exit code. `verbose` shows stacks. */
export function reportFailure(error: unknown, verbose: boolean): number {
  // Help and version come this way too, with code 0.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof CriaError) {
    if (error.code === "aborted") return INTERRUPTED;
    notice(`${errorColors.red("error:")} ${error.message}`);
    if (verbose) notice(errorColors.dim(stackOf(error)));
    return 1;
  }
  notice(`${errorColors.red("error:")} ${stackOf(error)}`);
  notice("This is a bug in Cria. Please report it with the lines above and the command you ran.");
  return BUG;
}

function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? "" : `\ncaused by ${stackOf(error.cause)}`;
  return `${error.stack ?? error.message}${cause}`;
}

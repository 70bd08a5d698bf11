import { CriaError } from "../shared/errors.ts";

/** The error to throw: the AI SDK knows an abort by the signal's own reason. */
export function abortErrorOf(error: unknown, signal: AbortSignal | undefined): unknown {
  return error instanceof CriaError && error.code === "aborted" && signal?.aborted ? signal.reason : error;
}

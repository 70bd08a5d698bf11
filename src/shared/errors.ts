/**
 * The one error class of Cria. A message says what was expected, what came, and where; `code` is for programs.
 */

/** What went wrong, for programs that react to it. */
export type CriaErrorCode =
  /** A file's bytes break the rules of its format: the message names the byte or the tensor. */
  | "bad-file"
  /** An argument or option is out of range or of the wrong kind. */
  | "bad-input"
  /** Valid, but not something Cria can do: another architecture, an unknown tensor format. */
  | "unsupported"
  /** A file, repository, tensor or key that should be there is not. */
  | "not-found"
  /** The connection failed or the server answered with an error, after retries. */
  | "network"
  /** Bytes arrived, but their hash or size differs from the one announced. */
  | "checksum"
  /** The network is needed, but offline mode is on. */
  | "offline"
  /** A chat template failed, is too large, or ran for too long. */
  | "bad-template"
  /** The prompt has more tokens than the context holds. */
  | "context-full"
  /** The model's answer was cut before it was complete, or fails a check of the caller's. */
  | "bad-answer"
  /** The caller's AbortSignal fired. */
  | "aborted"
  /** A device cannot get the memory that a model or a context needs. */
  | "no-memory"
  /** A device stopped working: a thread died. The model must be loaded again. */
  | "device-lost"
  /** A loss or gradient is no finite number any more: training cannot go on from here. */
  | "diverged"
  /** Used after `dispose`. */
  | "disposed";

/** Every error that Cria throws on purpose. Anything else that escapes is a bug. */
export class CriaError extends Error {
  readonly code: CriaErrorCode;

  constructor(code: CriaErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "CriaError";
    this.code = code;
  }
}

/** Throws code `aborted` if the signal has fired; call it between steps of long work. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new CriaError("aborted", "the operation was aborted", { cause: signal.reason });
}

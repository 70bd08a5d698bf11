/**
 * Where the command line writes: results to standard output, everything else to standard error.
 *
 * Colours follow each stream: none when it is no terminal or NO_COLOR is set.
 */
import picocolors from "picocolors";

type Colors = ReturnType<typeof picocolors.createColors>;

export const outputColors: Colors = colorsOf(process.stdout);
export const errorColors: Colors = colorsOf(process.stderr);

function colorsOf(stream: NodeJS.WriteStream): Colors {
  const wanted = stream.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== "dumb";
  return picocolors.createColors(wanted || Boolean(process.env.FORCE_COLOR));
}

/** Writes a result as it is. */
export function writeOutput(text: string): void {
  process.stdout.write(text);
}

/** Writes a line of a result. */
export function writeLine(line = ""): void {
  process.stdout.write(`${line}\n`);
}

/** Writes one JSON value on a line. */
export function writeJson(value: unknown): void {
  writeLine(
    JSON.stringify(value, (_, entry: unknown) => (typeof entry === "bigint" ? entry.toString() : entry)),
  );
}

/**
 * Line breaks and other control characters as escapes: words out of a file stay on their line, and cannot tell the
 * terminal what to do.
 */
export function visible(text: string): string {
  return text.replace(/\p{Cc}/gu, (character) => {
    const escaped = JSON.stringify(character).slice(1, -1);
    // Those above 0x7e are left by JSON as they are.
    return escaped === character ? `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}` : escaped;
  });
}

/** Tells the person at the terminal something that is no result. */
export function notice(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Ends quietly when the reader of a pipe is gone, as in `cria list | head -1`; with 1 when writing fails otherwise. */
export function endOnClosedPipe(): void {
  for (const stream of [process.stdout, process.stderr])
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EPIPE") process.exit(0);
      // A full disk, as a rule. Standard error may be what failed.
      if (stream !== process.stderr) notice(`error: the output cannot be written: ${error.message}`);
      process.exit(1);
    });
}

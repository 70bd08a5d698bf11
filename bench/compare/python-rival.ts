/** A Python program that does one step of training for each line it is sent, and says how many seconds it took. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";

export interface PythonRival {
  /** What it said of itself at its start. */
  readonly facts: Readonly<Record<string, unknown>>;
  /** Seconds of one step. */
  step(): Promise<number>;
  end(): void;
}

/** @param script a file in scripts/oracle; it gets `settings` as JSON. */
export async function startPython(python: string, script: string, settings: object): Promise<PythonRival> {
  const path = join(import.meta.dirname, "..", "..", "scripts", "oracle", script);
  const child: ChildProcessWithoutNullStreams = spawn(python, [path, JSON.stringify(settings)]);
  child.stderr.pipe(process.stderr);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<Record<string, unknown>> => {
    const { value, done } = await lines.next();
    if (done) throw new Error(`${script} ended before its answer`);
    return JSON.parse(value) as Record<string, unknown>;
  };
  return {
    facts: await next(),
    async step() {
      child.stdin.write("\n");
      return (await next()).seconds as number;
    },
    end: () => child.stdin.end(),
  };
}

/**
 * Runs a command of a check with the project's own Node and tools, and never longer than it may take: after that its
 * whole process group is ended, so that no child of it stays behind.
 */
import { spawn } from "node:child_process";
import { delimiter, dirname, join } from "node:path";

export interface CommandOptions {
  readonly folder: string;
  readonly minutes: number;
  /** Show the output while it runs; otherwise it is collected. */
  readonly show: boolean;
}

export interface CommandResult {
  /** Why the command failed; undefined when it ended with code 0. */
  readonly failure: string | undefined;
  /** What it wrote, unless it was shown. */
  readonly output: string;
  readonly seconds: number;
}

const binaries = join(import.meta.dirname, "..", "node_modules", ".bin");
// npm's scripts start with `#!/usr/bin/env node`: the first node of the path runs them.
const searchPath = [dirname(process.execPath), binaries, process.env.PATH].join(delimiter);
const windows = process.platform === "win32";

export async function runCommand(
  [name, ...parameters]: readonly [string, ...string[]],
  { folder, minutes, show }: CommandOptions,
): Promise<CommandResult> {
  const started = performance.now();
  const child = spawn(name === "node" ? process.execPath : name, parameters, {
    cwd: folder,
    env: { ...process.env, PATH: searchPath, NO_COLOR: "1", FORCE_COLOR: undefined },
    stdio: ["ignore", show ? "inherit" : "pipe", show ? "inherit" : "pipe"],
    detached: !windows,
    // npm and the tools are .cmd files there.
    shell: windows && name !== "node",
  });
  let output = "";
  child.stdout?.on("data", (chunk: Buffer) => {
    output += chunk;
  });
  child.stderr?.on("data", (chunk: Buffer) => {
    output += chunk;
  });
  let failure: string | undefined;
  const end = (reason: string): void => {
    failure ??= reason;
    if (child.pid === undefined) return;
    try {
      process.kill(windows ? child.pid : -child.pid, "SIGKILL");
    } catch {
      // It ended in the meantime.
    }
  };
  const patience = setTimeout(() => end(`took more than ${minutes} minutes`), minutes * 60_000);
  // The group does not get the terminal's Ctrl-C.
  const interrupt = (): void => {
    end("interrupted");
    process.exit(130);
  };
  process.once("SIGINT", interrupt).once("SIGTERM", interrupt);
  await new Promise<void>((resolve) => {
    child.on("error", (error) => {
      failure ??= error.message;
      resolve();
    });
    child.on("close", (code, signal) => {
      if (code !== 0) failure ??= signal ? `ended by ${signal}` : `ended with code ${code}`;
      resolve();
    });
  });
  clearTimeout(patience);
  process.off("SIGINT", interrupt).off("SIGTERM", interrupt);
  return { failure, output, seconds: (performance.now() - started) / 1000 };
}

/** Runs the command line as users do: a process of its own, with pipes. */
import { spawn, spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const mainPath: string = join(import.meta.dirname, "..", "..", "src", "cli", "main.ts");

export interface Ran {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  /** What is piped in; nothing by default. */
  readonly input?: string | Uint8Array;
  readonly environment?: NodeJS.ProcessEnv;
  readonly folder?: string;
}

export function runCria(commandLine: readonly string[], options: RunOptions = {}): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [mainPath, ...commandLine], {
      cwd: options.folder,
      env: { ...testEnvironment(), ...options.environment },
    });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    child.on("error", reject);
    child.on("close", (code, signal) => resolve({ code, signal, stdout, stderr }));
    child.stdin.on("error", () => {});
    child.stdin.end(options.input ?? "");
  });
}

/** Runs a line of shell in which `cria` is the command. */
export function runInShell(line: string): Ran {
  const define = 'cria() { "$NODE" "$MAIN" "$@"; }';
  const env = { ...testEnvironment(), NODE: process.execPath, MAIN: mainPath };
  const { status, signal, stdout, stderr } = spawnSync("sh", ["-c", `${define}\n${line}`], {
    encoding: "utf8",
    env,
  });
  return { code: status, signal, stdout, stderr };
}

/** The environment without settings of the person who runs the tests. */
export function testEnvironment(): NodeJS.ProcessEnv {
  const names = Object.keys(process.env).filter(
    (name) => !/^(LLAMA_|HF_|HUGGINGFACE|FORCE_COLOR|NODE_OPTIONS)/.test(name),
  );
  return {
    ...Object.fromEntries(names.map((name) => [name, process.env[name]])),
    NO_COLOR: "1",
    XDG_DATA_HOME: join(tmpdir(), `cria-test-data-${process.pid}`),
  };
}

/** A person at a terminal, played by a test: `script` of util-linux gives the program a terminal of its own. */
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { stripVTControlCharacters } from "node:util";
import { mainPath, testEnvironment } from "./run-cria.ts";

/** Of util-linux; others of this name take other arguments. */
const SCRIPT = "script";

/** Whether this machine can play a terminal; says so when not. */
export function hasPseudoTerminal(): boolean {
  const { stdout } = spawnSync(SCRIPT, ["--version"], { encoding: "utf8" });
  if (stdout?.includes("util-linux")) return true;
  console.warn("skipped: a terminal is played by `script` of util-linux, which is not here");
  return false;
}

export class PseudoTerminal {
  readonly #child: ChildProcessWithoutNullStreams;
  #shown = "";
  /** Up to here `waitFor` has looked. */
  #seen = 0;

  constructor(commandLine: readonly string[], environment: NodeJS.ProcessEnv = {}) {
    const quoted = [process.execPath, mainPath, ...commandLine].map(
      (word) => `'${word.replaceAll("'", "'\\\\''")}'`,
    );
    // `exec`: a shell that stayed would get Ctrl-C too and, in some shells, end with 130 when the program has ended well.
    this.#child = spawn(SCRIPT, ["-qec", `exec ${quoted.join(" ")}`, "/dev/null"], {
      env: { ...testEnvironment(), TERM: "xterm", ...environment },
    });
    this.#child.stdout.setEncoding("utf8").on("data", (text: string) => {
      this.#shown += stripVTControlCharacters(text).replaceAll("\r", "");
    });
  }

  /** Everything shown so far, without colours. */
  get shown(): string {
    return this.#shown;
  }

  type(text: string): void {
    this.#child.stdin.write(text);
  }

  /** Waits until the text is shown after what was waited for before; gives what was shown up to and with it. */
  async waitFor(text: string | RegExp): Promise<string> {
    const started = performance.now();
    for (;;) {
      const rest = this.#shown.slice(this.#seen);
      const found = typeof text === "string" ? rest.indexOf(text) : rest.search(text);
      if (found >= 0) {
        const length = typeof text === "string" ? text.length : (text.exec(rest)?.[0].length ?? 0);
        this.#seen += found + length;
        return rest.slice(0, found + length);
      }
      if (performance.now() - started > 30_000) throw new Error(`${text} was not shown, but:\n${rest}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  /** The exit code, once the program has ended. */
  async ended(): Promise<number | null> {
    if (this.#child.exitCode === null) await once(this.#child, "close");
    return this.#child.exitCode;
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }
}

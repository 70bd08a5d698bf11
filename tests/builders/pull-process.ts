/** `pullModel` in a process of its own, which can be killed. */
import { spawn } from "node:child_process";

export interface PullProcess {
  /** Ends it as a power cut would. */
  kill(): void;
  /** The exit status, or the signal that ended it. */
  readonly ended: Promise<number | string | null>;
}

const script = `
  import { pullModel } from ${JSON.stringify(new URL("../../src/platform/node/hub/pull.ts", import.meta.url).href)};
  await pullModel(process.argv[1], JSON.parse(process.argv[2]));
`;

export function startPull(name: string, options: object): PullProcess {
  const child = spawn(
    process.execPath,
    ["--input-type=module", "--eval", script, name, JSON.stringify(options)],
    { stdio: ["ignore", "ignore", "inherit"] },
  );
  return {
    kill: () => void child.kill("SIGKILL"),
    ended: new Promise((resolve) => child.on("close", (code, signal) => resolve(code ?? signal))),
  };
}

/** Waits until something is true. */
export async function until(isTrue: () => Promise<boolean>): Promise<void> {
  while (!(await isTrue())) await new Promise((resolve) => setTimeout(resolve, 10));
}

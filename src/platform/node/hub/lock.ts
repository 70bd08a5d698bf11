/**
 * One process at a time: a lock is a file that only one can create.
 *
 * It holds the owner's process id and host, and the owner touches it every 5 s. A lock is stale when its process is gone
 * from this host, or nobody touched it for 30 s (another host, or the id given to a new process). A stale lock is removed
 * under a second lock, so that of two processes that see it only one removes it, and neither the other's new one.
 *
 * Flow: pull.ts → withLock → download.ts.
 */
import { mkdir, open, readFile, rm, stat, utimes } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname } from "node:path";
import { pause } from "../../../files/http.ts";
import { throwIfAborted } from "../../../shared/errors.ts";
import { errorCode } from "./cache.ts";

const touchMs = 5_000;
const staleMs = 30_000;
const pollMs = 100;

/** Runs `work` while no other process, nor another call in this one, holds the lock. */
export async function withLock<Result>(
  path: string,
  signal: AbortSignal | undefined,
  work: () => Promise<Result>,
): Promise<Result> {
  await mkdir(dirname(path), { recursive: true });
  while (!(await take(path))) {
    throwIfAborted(signal);
    if (await isStale(path)) await breakLock(path);
    else await pause(pollMs, signal);
  }
  const touching = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => {});
  }, touchMs);
  touching.unref();
  try {
    return await work();
  } finally {
    clearInterval(touching);
    await rm(path, { force: true });
  }
}

async function take(path: string): Promise<boolean> {
  try {
    const handle = await open(path, "wx");
    await handle.writeFile(`${process.pid} ${hostname()}\n`).finally(() => handle.close());
    return true;
  } catch (error) {
    // Windows says EPERM while the last owner's file is being removed.
    if (errorCode(error) === "EEXIST" || (process.platform === "win32" && errorCode(error) === "EPERM"))
      return false;
    throw error;
  }
}

async function isStale(path: string): Promise<boolean> {
  const info = await stat(path).catch(() => undefined);
  if (!info) return false;
  if (Date.now() - info.mtimeMs > staleMs) return true;
  const [pid = "", host] = (await readFile(path, "utf8").catch(() => "")).trim().split(" ");
  // An owner that has not written its name yet is alive.
  return host === hostname() && /^\d+$/.test(pid) && !isAlive(Number(pid));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) !== "ESRCH";
  }
}

async function breakLock(path: string): Promise<void> {
  const guard = `${path}.break`;
  if (!(await take(guard))) {
    if (await isStale(guard)) await rm(guard, { force: true });
    return;
  }
  try {
    if (await isStale(path)) await rm(path, { force: true });
  } finally {
    await rm(guard, { force: true });
  }
}

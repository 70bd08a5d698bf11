/** What a worker of the CPU device runs in a browser. */
import { createThreadBody } from "../../devices/wasm/thread-body.ts";

interface WorkerScope {
  postMessage(message: unknown): void;
  onmessage: ((event: MessageEvent) => void) | null;
}

const scope = globalThis as unknown as WorkerScope;
const body = createThreadBody((message) => scope.postMessage(message));
scope.onmessage = ({ data }) => body(data);

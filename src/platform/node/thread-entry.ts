/** What a worker of the CPU device runs in Node. */
import { parentPort } from "node:worker_threads";
import { createThreadBody } from "../../devices/wasm/thread-body.ts";

const port = parentPort;
if (port)
  port.on(
    "message",
    createThreadBody((message) => port.postMessage(message)),
  );

/**
 * What a worker of the CPU device does. The first message says which kind it is: one of several that share a memory, or
 * the one that owns it (worker-space.ts).
 */
import {
  ASLEEP,
  DONE,
  END,
  ENDED,
  handshakeWords,
  PLAN,
  REQUEST,
  SMALL,
  type ThreadStart,
  WAITING,
} from "./handshake.ts";
import { instantiate } from "./module.ts";
import { createOwner, type OwnerStart } from "./worker-space.ts";

/** How long the first worker looks before it waits for a message: the caller takes about as long to choose a token. */
const AWAKE_MILLISECONDS = 0.1;
/** Looks between two at the clock: some microseconds. */
const LOOKS_A_TIME = 500;

/** What a worker does with its messages: the first starts it, each later one says that a plan may be there. */
export function createThreadBody(post: (message: unknown) => void): (message: unknown) => void {
  let serve: ((message: unknown) => void) | undefined;
  return (message) => {
    if (serve) {
      serve(message);
      return;
    }
    if ("owned" in (message as object)) {
      serve = createOwner(message as OwnerStart, post);
      return;
    }
    const { module, memory, control, thread, threadCount } = message as ThreadStart;
    const kernels = instantiate(module, memory);
    // A following thread lives inside the module until the threads end; after that nothing here touches the memory.
    if (thread > 0) {
      kernels.follow(control, thread, threadCount);
      serve = () => {};
      post(ENDED);
      return;
    }
    const words = handshakeWords(memory, control);
    let done = 0;
    serve = () => {
      Atomics.store(words, ASLEEP, 0);
      let since = performance.now();
      for (let looks = 0; ; looks++) {
        const number = Atomics.load(words, REQUEST);
        if (number !== done) {
          const plan = Atomics.load(words, PLAN);
          if (plan === END) {
            if (threadCount > 1) kernels.release(control, END);
            serve = () => {};
            post(ENDED);
            return;
          }
          const walkers = Atomics.load(words, SMALL) === 1 ? 1 : threadCount;
          if (walkers > 1) kernels.release(control, plan);
          kernels.walk(control, plan, 0, walkers);
          done = number;
          Atomics.store(words, DONE, number);
          if (Atomics.load(words, WAITING) === number) post(number);
          since = performance.now();
        } else if (looks % LOOKS_A_TIME === 0 && performance.now() - since > AWAKE_MILLISECONDS) {
          Atomics.store(words, ASLEEP, 1);
          if (Atomics.load(words, REQUEST) === done) return;
          Atomics.store(words, ASLEEP, 0);
          since = performance.now();
        }
      }
    };
  };
}

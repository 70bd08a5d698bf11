/**
 * One worker that holds the memory and computes: for pages without shared memory, whose own thread stays free. Every
 * access is a message, and messages arrive in order, so nothing waits but who reads.
 *
 * Flow: device.ts → WorkerSpace → messages → createOwner, in the worker.
 */
import { CriaError } from "../../shared/errors.ts";
import { createMemory, instantiate } from "./module.ts";
import { PAGE, type Space } from "./space.ts";
import type { StartThread, Thread, Threads } from "./threads.ts";

/** The first message to the worker. */
export interface OwnerStart {
  readonly owned: WebAssembly.Module;
}

type OwnerMessage =
  | { readonly kind: "grow"; readonly pages: number }
  | { readonly kind: "clear"; readonly start: number; readonly end: number }
  | { readonly kind: "put"; readonly address: number; readonly bytes: Uint8Array }
  | { readonly kind: "run"; readonly number: number; readonly control: number; readonly plan: number }
  | { readonly kind: "take"; readonly number: number; readonly address: number; readonly byteLength: number };

/** What was asked for with this number is done. */
interface OwnerAnswer {
  readonly number: number;
  readonly bytes?: Uint8Array;
}

export class WorkerSpace implements Space {
  readonly byteLength: number = PAGE;
  readonly #thread: Thread;
  readonly #waiting = new Map<number, PromiseWithResolvers<OwnerAnswer>>();
  #number = 0;
  #death: CriaError | undefined;

  constructor(startThread: StartThread, module: WebAssembly.Module) {
    this.#thread = startThread();
    this.#thread.listen(
      (message) => this.#answered(message as OwnerAnswer),
      (cause) =>
        this.#die(
          new CriaError("device-lost", "the worker of the CPU device died; load the model again", { cause }),
        ),
    );
    this.#thread.post({ owned: module } satisfies OwnerStart);
    this.#thread.keepAlive(false);
  }

  grow(pages: number): void {
    this.#post({ kind: "grow", pages });
  }

  clear(start: number, end: number): void {
    this.#post({ kind: "clear", start, end });
  }

  put(address: number, bytes: Uint8Array): void {
    this.#post({ kind: "put", address, bytes });
  }

  view(): undefined {}

  async take(address: number, byteLength: number): Promise<Uint8Array> {
    const { bytes = new Uint8Array() } = await this.#ask((number) => ({
      ...{ kind: "take", number, address, byteLength },
    }));
    return bytes;
  }

  /** The worker as a thread that walks plans. @param control the address of the words by which threads keep step */
  threads(control: number): Threads {
    return {
      count: 1,
      run: async (plan) => {
        await this.#ask((number) => ({ kind: "run", number, control, plan }));
      },
      dispose: () => {
        this.#die(new CriaError("disposed", "the device was disposed"));
        return this.#thread.terminate();
      },
    };
  }

  /** Nothing is left to give back: the memory is the worker's. */
  dispose(): void {}

  #post(message: OwnerMessage): void {
    if (!this.#death) this.#thread.post(message);
  }

  #ask(messageOf: (number: number) => OwnerMessage): Promise<OwnerAnswer> {
    if (this.#death) return Promise.reject(this.#death);
    const number = ++this.#number;
    const answer = Promise.withResolvers<OwnerAnswer>();
    this.#waiting.set(number, answer);
    this.#thread.keepAlive(true);
    this.#thread.post(messageOf(number));
    return answer.promise;
  }

  #answered(answer: OwnerAnswer): void {
    this.#waiting.get(answer.number)?.resolve(answer);
    this.#waiting.delete(answer.number);
    if (this.#waiting.size === 0) this.#thread.keepAlive(false);
  }

  #die(error: CriaError): void {
    this.#death ??= error;
    for (const { reject } of this.#waiting.values()) reject(this.#death);
    this.#waiting.clear();
    this.#thread.keepAlive(false);
  }
}

/** The worker's side: what it does with each message after the first. */
export function createOwner(
  { owned }: OwnerStart,
  post: (message: unknown) => void,
): (message: unknown) => void {
  const memory = createMemory(false);
  const kernels = instantiate(owned, memory);
  const part = (start: number, byteLength: number) => new Uint8Array(memory.buffer, start, byteLength);
  return (received) => {
    const message = received as OwnerMessage;
    switch (message.kind) {
      case "grow":
        memory.grow(message.pages);
        return;
      case "clear":
        part(message.start, message.end - message.start).fill(0);
        return;
      case "put":
        part(message.address, message.bytes.length).set(message.bytes);
        return;
      case "run":
        kernels.walk(message.control, message.plan, 0, 1);
        post({ number: message.number } satisfies OwnerAnswer);
        return;
      case "take":
        post({
          ...{ number: message.number, bytes: part(message.address, message.byteLength).slice() },
        } satisfies OwnerAnswer);
    }
  };
}

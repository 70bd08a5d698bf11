/**
 * Several devices as one: for a model that is larger than what one of them can address. Layers lie in one bank or another
 * (model/placement.ts), and between them goes the residual stream, a few kilobytes a token: the op convert with x in one
 * bank and y in another. All other ops run on the device that has their tensors.
 *
 *   plan = [ops of bank 0] → copy → [ops of bank 1] → …
 *
 * Flow: generate/load-model.ts → bankedDevice → wasm/device.ts, one a bank.
 */
import { type OpArgs, type OpName, ops } from "../ops/index.ts";
import { CriaError } from "../shared/errors.ts";
import type { Bank, Device, Plan, WeightPart } from "../tensor/device.ts";
import type { Memory, Tensor } from "../tensor/tensor.ts";
import { WorkQueue } from "./work-queue.ts";

/** Devices of one kind as one, which disposes of them. */
export function bankedDevice(devices: readonly Device[]): Device {
  return new BankedDevice(devices);
}

/** A part of a plan: what to do, and where the next must wait for it a promise. */
type Part = () => Promise<void> | undefined;

/** Ops that follow each other in one bank. */
interface Segment {
  readonly bank: number;
  readonly calls: (() => void)[];
}

/** x of one bank into y of another. */
interface Transfer {
  readonly x: Tensor;
  readonly y: Tensor;
}

class BankedPlan implements Plan {
  readonly device: BankedDevice;
  readonly parts: readonly Part[];
  readonly callCount: number;

  constructor(device: BankedDevice, parts: readonly Part[], callCount: number) {
    this.device = device;
    this.parts = parts;
    this.callCount = callCount;
  }
}

class BankedDevice implements Device {
  readonly name: Device["name"];
  readonly prefillRows: number;
  readonly memoryLimit?: number;
  readonly banks: readonly Bank[];
  readonly #devices: readonly Device[];
  readonly #bankOf = new WeakMap<Memory, number>();
  /** Plans and what comes after them; the devices have queues of their own, which know nothing of each other. */
  readonly #queue = new WorkQueue();
  #recording: (Segment | Transfer)[] | undefined;

  constructor(devices: readonly Device[]) {
    const [first] = devices;
    this.name = first.name;
    this.prefillRows = first.prefillRows;
    if (first.memoryLimit !== undefined) this.memoryLimit = first.memoryLimit * devices.length;
    this.#devices = devices;
    this.banks = devices.map((device, bank) => this.#bank(device, bank));
  }

  allocate(byteLength: number): Memory {
    return this.banks[0].allocate(byteLength);
  }

  free(memory: Memory): void {
    if (this.#queue.failed) return;
    this.#queue.add(() => this.#owner(memory).free(memory));
  }

  write(memory: Memory, bytes: Uint8Array, byteOffset = 0): void {
    const put = (source: Uint8Array): void => this.#owner(memory).write(memory, source, byteOffset);
    if (this.#queue.busy) {
      const copy = bytes.slice();
      this.#queue.add(() => put(copy));
    } else put(bytes);
  }

  async read(memory: Memory, byteOffset = 0, byteLength?: number, into?: Uint8Array): Promise<Uint8Array> {
    await this.#queue.idle();
    return this.#owner(memory).read(memory, byteOffset, byteLength, into);
  }

  run<Name extends OpName>(name: Name, args: OpArgs[Name]): void {
    if (this.#recording) this.#record(this.#recording, name, args);
    else this.replay(this.record(() => this.run(name, args)));
  }

  record(body: () => void): Plan {
    if (this.#recording) throw new CriaError("bad-input", "a plan is being recorded already");
    const recording: (Segment | Transfer)[] = [];
    this.#recording = recording;
    try {
      body();
    } finally {
      this.#recording = undefined;
    }
    let callCount = 0;
    const parts = recording.map((part): Part => {
      if ("x" in part) {
        callCount++;
        return () => this.#transfer(part);
      }
      const device = this.#devices[part.bank];
      const plan = device.record(() => {
        for (const call of part.calls) call();
      });
      callCount += plan.callCount;
      return () => {
        device.replay(plan);
        return undefined;
      };
    });
    return new BankedPlan(this, parts, callCount);
  }

  replay(plan: Plan): void {
    if (!(plan instanceof BankedPlan) || plan.device !== this)
      throw new CriaError("bad-input", "the plan was recorded by another device");
    for (const part of plan.parts) this.#queue.add(part);
  }

  dispose(): void {
    for (const device of this.#devices) device.dispose();
  }

  /** What a bank offers: its device's own methods would pass by the queue and leave memories without an owner. */
  #bank(device: Device, bank: number): Bank {
    const { memoryLimit } = device;
    const loadWeight = device.loadWeight?.bind(device);
    const weightBytes = device.weightBytes?.bind(device);
    const own = (memory: Memory): Memory => {
      this.#bankOf.set(memory, bank);
      return memory;
    };
    return {
      ...(memoryLimit === undefined ? {} : { memoryLimit }),
      ...(weightBytes ? { weightBytes } : {}),
      ...(loadWeight && {
        loadWeight: async (parts: readonly WeightPart[]) => {
          const tensor = await loadWeight(parts);
          own(tensor.memory);
          return tensor;
        },
      }),
      allocate: (byteLength) => own(device.allocate(byteLength)),
      free: (memory) => this.free(memory),
    };
  }

  #bankNumber(memory: Memory): number {
    const bank = this.#bankOf.get(memory);
    if (bank === undefined) throw new CriaError("disposed", "the memory belongs to another device");
    return bank;
  }

  #owner(memory: Memory): Device {
    return this.#devices[this.#bankNumber(memory)];
  }

  #record<Name extends OpName>(recording: (Segment | Transfer)[], name: Name, args: OpArgs[Name]): void {
    const tensors = Object.values(args).filter(isTensor);
    const [bank, ...others] = new Set(tensors.map(({ memory }) => this.#bankNumber(memory)));
    if (others.length > 0) {
      if (name !== "convert")
        throw new CriaError(
          "bad-input",
          `${name}: its tensors lie in the banks ${[bank, ...others].join(", ")}`,
        );
      recording.push(transferOf(args as OpArgs["convert"]));
      return;
    }
    const last = recording.at(-1);
    const call = (): void => this.#devices[bank].run(name, args);
    if (last && "calls" in last && last.bank === bank) last.calls.push(call);
    else recording.push({ bank, calls: [call] });
  }

  /** `read` waits for the ops before, and everything after waits for this. */
  async #transfer({ x, y }: Transfer): Promise<void> {
    const bytes = await this.#owner(x.memory).read(x.memory, x.byteOffset, x.rows * x.stride);
    this.#owner(y.memory).write(y.memory, bytes, y.byteOffset);
  }
}

/** @throws {CriaError} code "unsupported" for what is more than a copy of bytes. */
function transferOf(args: OpArgs["convert"]): Transfer {
  ops.convert.check(args as never);
  const { x, y } = args;
  if (x.format !== y.format || x.stride !== y.stride)
    throw new CriaError(
      "unsupported",
      "convert from bank to bank: expected rows of the same format and stride",
    );
  return { x, y };
}

function isTensor(value: unknown): value is Tensor {
  return typeof value === "object" && value !== null && "memory" in value;
}

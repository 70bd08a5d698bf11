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
import { isTensor, type Memory, type Tensor } from "../tensor/tensor.ts";
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
  /** Those of the banks, in any order. */
  readonly plans: readonly { readonly device: Device; readonly plan: Plan }[];
  readonly callCount: number;
  freed = false;

  constructor(device: BankedDevice, parts: readonly Part[], plans: BankedPlan["plans"], callCount: number) {
    this.device = device;
    this.parts = parts;
    this.plans = plans;
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
    const place = this.#placeOf(name, args);
    if (this.#recording)
      this.#record(this.#recording, place, () => this.#devices[place as number].run(name, args));
    else if (typeof place === "number") this.#queue.add(() => this.#devices[place].run(name, args));
    else this.#queue.add(() => this.#transfer(place));
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
    const plans: { readonly device: Device; readonly plan: Plan }[] = [];
    const parts = recording.map((part): Part => {
      if ("x" in part) return () => this.#transfer(part);
      const device = this.#devices[part.bank];
      const plan = device.record(() => {
        for (const call of part.calls) call();
      });
      plans.push({ device, plan });
      return () => {
        device.replay(plan);
        return undefined;
      };
    });
    const transfers = parts.length - plans.length;
    return new BankedPlan(
      this,
      parts,
      plans,
      plans.reduce((sum, { plan }) => sum + plan.callCount, transfers),
    );
  }

  freePlan(plan: Plan): void {
    if (!(plan instanceof BankedPlan) || plan.device !== this || plan.freed || this.#queue.failed) return;
    plan.freed = true;
    this.#queue.add(() => {
      for (const { device, plan: part } of plan.plans) device.freePlan(part);
    });
  }

  replay(plan: Plan): void {
    if (!(plan instanceof BankedPlan) || plan.device !== this || plan.freed)
      throw new CriaError("bad-input", "the plan was freed, or recorded by another device");
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

  /** The bank of an op's tensors, or what goes from one to another. */
  #placeOf<Name extends OpName>(name: Name, args: OpArgs[Name]): number | Transfer {
    const tensors = Object.values(args).filter(isTensor);
    const [bank, ...others] = new Set(tensors.map(({ memory }) => this.#bankNumber(memory)));
    if (others.length === 0) return bank;
    if (name === "convert") return transferOf(args as OpArgs["convert"]);
    throw new CriaError("bad-input", `${name}: its tensors lie in the banks ${[bank, ...others].join(", ")}`);
  }

  #record(recording: (Segment | Transfer)[], place: number | Transfer, call: () => void): void {
    const last = recording.at(-1);
    if (typeof place !== "number") recording.push(place);
    else if (last && "calls" in last && last.bank === place) last.calls.push(call);
    else recording.push({ bank: place, calls: [call] });
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

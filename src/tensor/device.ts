/**
 * Where ops run. A device owns memory, lowers each op call once into something it can execute, and either executes it
 * at once (`run`) or collects it into a plan that is replayed for every step.
 *
 * Flow: model/llama.ts (calls) → Device.record → Plan → generate/engine.ts (replay per step).
 */
import type { OpArgs, OpName } from "../ops/index.ts";
import { CriaError } from "../shared/errors.ts";
import type { TensorFormat } from "./format.ts";
import type { Memory, Tensor } from "./tensor.ts";

/** A matrix of weights where it is stored: rows are read in the file's format, a few at a time. */
export interface WeightPart {
  readonly format: TensorFormat;
  readonly rows: number;
  readonly columns: number;
  /** Packed rows [rowFirst, rowFirst + rowCount), each `rowBytes(format, columns)` bytes; `into` may be used for them. */
  readRows(rowFirst: number, rowCount: number, into?: Uint8Array): Promise<Uint8Array>;
}

/** A recorded list of lowered calls; valid on the device that recorded it until that is disposed. */
export interface Plan {
  readonly callCount: number;
}

/** Where memories are. The tensors of one op lie in one bank. */
export interface Bank {
  /** Bytes that all memories together can have, where there is such a limit. */
  readonly memoryLimit?: number;
  /** Zeroed bytes. */
  allocate(byteLength: number): Memory;
  free(memory: Memory): void;
  /**
   * Puts weights of equal format and columns below each other, in an order of bytes of the device's own. The tensor is
   * good for the ops that take weights (`w` of matmul, `table` of embed, `x` of convert) and is freed by its memory.
   * A device without this method takes weights by `write`, in the file's order.
   */
  loadWeight?(parts: readonly WeightPart[]): Promise<Tensor>;
  /** Bytes that `loadWeight` takes for a matrix; without it as many as the file. */
  weightBytes?(format: TensorFormat, rows: number, columns: number): number;
}

/** Runs op calls in the order given; `read` waits for every earlier call. */
export interface Device extends Bank {
  readonly name: "reference" | "wasm";
  /** Rows of one prefill step that suit this device: more would not be faster, or would delay an abort too long. */
  readonly prefillRows: number;
  /**
   * The parts of a device that has several (devices/banked.ts). `allocate` of the device itself uses the first; its other
   * methods take memories of all. The op convert also goes from one bank to another.
   */
  readonly banks?: readonly Bank[];
  write(memory: Memory, bytes: Uint8Array, byteOffset?: number): void;
  /**
   * A copy of the bytes, after all earlier calls; lets other work of this thread run meanwhile. `into` may be used for it,
   * so that reading for every token leaves no garbage.
   */
  read(
    memory: Memory,
    byteOffset?: number,
    byteLength?: number,
    into?: Uint8Array<ArrayBufferLike>,
  ): Promise<Uint8Array>;
  /** Runs one op now. */
  run<Name extends OpName>(name: Name, args: OpArgs[Name]): void;
  /** Collects the calls that `body` makes instead of running them. */
  record(body: () => void): Plan;
  /** Runs a recorded plan as one submission. */
  replay(plan: Plan): void;
  /** Gives back a plan's memory, after the calls before; it cannot be replayed any more. */
  freePlan(plan: Plan): void;
  dispose(): void;
}

/** The banks of a device; most have one. */
export function banksOf(device: Device): readonly Bank[] {
  return device.banks ?? [device];
}

/** Eager, record and replay in terms of two functions: what a device makes of a call, and how it executes a list. */
export class Recorder<Call> {
  readonly #lower: <Name extends OpName>(name: Name, args: OpArgs[Name]) => Call;
  readonly #execute: (calls: readonly Call[]) => void;
  #recording: Call[] | undefined;

  constructor(
    lower: <Name extends OpName>(name: Name, args: OpArgs[Name]) => Call,
    execute: (calls: readonly Call[]) => void,
  ) {
    this.#lower = lower;
    this.#execute = execute;
  }

  run<Name extends OpName>(name: Name, args: OpArgs[Name]): void {
    const call = this.#lower(name, args);
    if (this.#recording) this.#recording.push(call);
    else this.#execute([call]);
  }

  record(body: () => void): RecordedPlan<Call> {
    if (this.#recording) throw new CriaError("bad-input", "a plan is being recorded already");
    const calls: Call[] = [];
    this.#recording = calls;
    try {
      body();
    } finally {
      this.#recording = undefined;
    }
    return new RecordedPlan(calls, this.#execute);
  }

  replay(plan: Plan): void {
    if (!(plan instanceof RecordedPlan))
      throw new CriaError("bad-input", "the plan was recorded by another device");
    plan.replay();
  }
}

class RecordedPlan<Call> implements Plan {
  readonly callCount: number;
  readonly replay: () => void;

  constructor(calls: readonly Call[], execute: (calls: readonly Call[]) => void) {
    this.callCount = calls.length;
    this.replay = () => execute(calls);
  }
}

/** Builds `.pth` files as torch.save does (pickle protocol 2 in a zip), for tests and as seeds of the fuzzer. */
import { buildZip, type ZipOptions } from "./zip.ts";

/** A tensor to save. `storage`, `offset` and `strides` make views of shared storages. */
export interface PthTensor {
  readonly type: "FloatStorage" | "HalfStorage" | "BFloat16Storage";
  readonly sizes: readonly number[];
  readonly bytes: Uint8Array;
  readonly offset?: number;
  readonly strides?: readonly number[];
  readonly parameter?: boolean;
}

export interface PthOptions extends ZipOptions {
  readonly byteOrder?: string;
  /** Replaces the pickle. */
  readonly pickle?: Uint8Array;
  readonly extraEntries?: readonly (readonly [string, Uint8Array])[];
}

const ITEM_BYTES = { FloatStorage: 4, HalfStorage: 2, BFloat16Storage: 2 } as const;

export function buildPth(
  tensors: Readonly<Record<string, PthTensor>>,
  options: PthOptions = {},
): Uint8Array<ArrayBuffer> {
  const entries: [string, Uint8Array][] = [["archive/data.pkl", options.pickle ?? pickleOf(tensors)]];
  entries.push(["archive/byteorder", text(options.byteOrder ?? "little")]);
  for (const [index, tensor] of Object.values(tensors).entries())
    entries.push([`archive/data/${index}`, tensor.bytes]);
  entries.push(["archive/version", text("3\n")], ...((options.extraEntries ?? []) as [string, Uint8Array][]));
  return buildZip(entries, options);
}

/** The pickle of a dict of tensors; storage keys count from 0. */
export function pickleOf(tensors: Readonly<Record<string, PthTensor>>): Uint8Array {
  const pickle = new PickleWriter().bytes(0x80, 2).bytes(0x7d).bytes(0x28); // PROTO 2, EMPTY_DICT, MARK
  for (const [index, [name, tensor]] of Object.entries(tensors).entries()) {
    pickle.text(name);
    if (tensor.parameter) pickle.global("torch._utils", "_rebuild_parameter");
    pickle.global("torch._utils", "_rebuild_tensor_v2").bytes(0x28).bytes(0x28);
    pickle.text("storage").global("torch", tensor.type).text(String(index)).text("cpu");
    pickle.integer(tensor.bytes.length / ITEM_BYTES[tensor.type]).bytes(0x74, 0x51); // TUPLE, BINPERSID
    pickle.integer(tensor.offset ?? 0).integers(tensor.sizes);
    pickle.integers(tensor.strides ?? contiguous(tensor.sizes)).bytes(0x89); // NEWFALSE
    pickle.global("collections", "OrderedDict").bytes(0x29, 0x52).bytes(0x74, 0x52); // (), REDUCE, TUPLE, REDUCE
    if (tensor.parameter) {
      pickle.bytes(0x88).global("collections", "OrderedDict").bytes(0x29, 0x52); // NEWTRUE, (), REDUCE
      pickle.bytes(0x87, 0x52); // TUPLE3, REDUCE
    }
  }
  return pickle.bytes(0x75, 0x2e).finish(); // SETITEMS, STOP
}

/** Opcodes one after the other. */
export class PickleWriter {
  readonly #out: number[] = [];

  bytes(...bytes: number[]): this {
    this.#out.push(...bytes);
    return this;
  }

  text(value: string): this {
    const bytes = text(value);
    return this.bytes(0x58, bytes.length & 255, bytes.length >> 8, 0, 0, ...bytes); // BINUNICODE
  }

  integer(value: number): this {
    const bytes = new Uint8Array(Int32Array.of(value).buffer);
    return this.bytes(0x4a, ...bytes); // BININT
  }

  integers(values: readonly number[]): this {
    this.bytes(0x28); // MARK
    for (const value of values) this.integer(value);
    return this.bytes(0x74); // TUPLE
  }

  global(module: string, name: string): this {
    return this.bytes(0x63, ...text(`${module}\n${name}\n`)); // GLOBAL
  }

  finish(): Uint8Array {
    return Uint8Array.from(this.#out);
  }
}

function contiguous(sizes: readonly number[]): number[] {
  return sizes.map((_, axis) => sizes.slice(axis + 1).reduce((product, size) => product * size, 1));
}

function text(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

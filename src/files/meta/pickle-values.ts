/**
 * What a checkpoint's pickle can hold: plain data, and tensors that refer to storages. There is no value that stands
 * for code, so reading a file cannot run any.
 *
 * Source: torch/serialization.py (persistent ids) and torch/_utils.py (the rebuild functions' arguments).
 */
import type { TensorFormat } from "../../tensor/format.ts";

export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | PickleList
  | PickleTuple
  | PickleDict
  | AllowedGlobal
  | StorageReference
  | TensorReference;

export interface PickleList {
  readonly kind: "list";
  readonly items: PickleValue[];
}

export interface PickleTuple {
  readonly kind: "tuple";
  readonly items: readonly PickleValue[];
}

/** A dict or an OrderedDict. */
export interface PickleDict {
  readonly kind: "dict";
  readonly entries: Map<PickleValue, PickleValue>;
}

/** A name that the pickle may import: see `allowedGlobal`. */
export type AllowedGlobal =
  | { readonly kind: "storageType"; readonly format: TensorFormat | undefined }
  | { readonly kind: "elementType"; readonly format: TensorFormat }
  | { readonly kind: "function"; readonly name: "OrderedDict" | "tensor" | "tensor3" | "parameter" };

/** A storage: the archive entry `data/<key>`. `format` is undefined for bytes without a type. */
export interface StorageReference {
  readonly kind: "storage";
  readonly key: string;
  readonly format: TensorFormat | undefined;
  /** Values in the storage; bytes when it has no type. */
  readonly count: number;
}

/** A view of a storage; `offset` and `strides` count values. */
export interface TensorReference {
  readonly kind: "tensor";
  readonly storage: StorageReference;
  readonly format: TensorFormat;
  readonly offset: number;
  readonly sizes: readonly number[];
  readonly strides: readonly number[];
}

const GLOBALS: ReadonlyMap<string, AllowedGlobal> = new Map<string, AllowedGlobal>([
  ["collections.OrderedDict", { kind: "function", name: "OrderedDict" }],
  ["torch._utils._rebuild_tensor_v2", { kind: "function", name: "tensor" }],
  ["torch._utils._rebuild_tensor_v3", { kind: "function", name: "tensor3" }],
  ["torch._utils._rebuild_parameter", { kind: "function", name: "parameter" }],
  ["torch.FloatStorage", { kind: "storageType", format: "F32" }],
  ["torch.HalfStorage", { kind: "storageType", format: "F16" }],
  ["torch.BFloat16Storage", { kind: "storageType", format: "BF16" }],
  ["torch.UntypedStorage", { kind: "storageType", format: undefined }],
  ["torch.storage.UntypedStorage", { kind: "storageType", format: undefined }],
  ["torch.float32", { kind: "elementType", format: "F32" }],
  ["torch.float16", { kind: "elementType", format: "F16" }],
  ["torch.bfloat16", { kind: "elementType", format: "BF16" }],
]);

/** The meaning of a Python name, or undefined for all that Cria will not construct. */
export function allowedGlobal(module: string, name: string): AllowedGlobal | undefined {
  return GLOBALS.get(`${module}.${name}`);
}

/** What a call in the pickle gives, or why it cannot be made. `makeDict` makes an empty OrderedDict. */
export function callGlobal(
  callee: PickleValue,
  args: readonly PickleValue[],
  makeDict: () => PickleDict,
): PickleValue | { readonly kind: "refused"; readonly reason: string } {
  if (!isKind(callee, "function")) return refuse("calls something that is not a function");
  switch (callee.name) {
    case "OrderedDict":
      return args.length === 0 ? makeDict() : refuse("makes an OrderedDict from arguments");
    case "parameter":
      return isKind(args[0], "tensor") ? args[0] : refuse("makes a parameter without a tensor");
    case "tensor":
      return makeTensor(args, undefined);
    case "tensor3":
      return isKind(args[6], "elementType")
        ? makeTensor(args, args[6].format)
        : refuse("makes a tensor without a type");
    default:
      return callee.name satisfies never;
  }
}

/** Arguments: storage, offset, sizes, strides, then what only training needs. */
function makeTensor(args: readonly PickleValue[], format: TensorFormat | undefined) {
  const [storage, offset, sizes, strides] = args;
  if (!isKind(storage, "storage")) return refuse("makes a tensor without a storage");
  const elementFormat = format ?? storage.format;
  if (elementFormat === undefined) return refuse("makes a tensor of bytes without a type");
  const sizeList = countsOf(sizes);
  const strideList = countsOf(strides);
  if (!isCount(offset) || !sizeList || !strideList || sizeList.length !== strideList.length)
    return refuse("makes a tensor whose offset, sizes or strides are no counts");
  return {
    kind: "tensor",
    storage,
    format: elementFormat,
    offset,
    sizes: sizeList,
    strides: strideList,
  } as const;
}

/** A persistent id `("storage", type, key, device, count)` as a storage; undefined when it is anything else. */
export function storageOf(id: PickleValue): StorageReference | undefined {
  if (!isKind(id, "tuple")) return undefined;
  const [what, type, key, , count] = id.items;
  if (what !== "storage" || !isKind(type, "storageType") || typeof key !== "string" || !isCount(count))
    return undefined;
  return { kind: "storage", key, format: type.format, count };
}

/** Whether a value is an object of that kind. */
export function isKind<Kind extends (PickleValue & object)["kind"]>(
  value: PickleValue | undefined,
  kind: Kind,
): value is Extract<PickleValue, { kind: Kind }> {
  return typeof value === "object" && value !== null && value.kind === kind;
}

function countsOf(value: PickleValue | undefined): number[] | undefined {
  return isKind(value, "tuple") && value.items.every(isCount) ? (value.items as number[]).slice() : undefined;
}

function isCount(value: PickleValue | undefined): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function refuse(reason: string): { kind: "refused"; reason: string } {
  return { kind: "refused", reason };
}

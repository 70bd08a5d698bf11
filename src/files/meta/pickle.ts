/**
 * A reader of Python pickles (protocols 2 to 5) that can construct nothing but plain data and references to tensors.
 *
 * A pickle is a program for a stack machine. Python's own machine imports and calls whatever the program names; this
 * one knows a dozen names (pickle-values.ts) and refuses every other. Each step takes at least one byte of input and
 * constant time, all that it makes is counted, and nothing is walked recursively, so cycles and deep nesting are harmless.
 *
 * Flow: pth.ts (bytes of data.pkl) → unpickle → pth.ts (dict of tensor references).
 * Source: CPython's Lib/pickletools.py (opcodes).
 */
import { PickleBytes } from "./pickle-bytes.ts";
import {
  allowedGlobal,
  callGlobal,
  isKind,
  type PickleDict,
  type PickleList,
  type PickleValue,
  storageOf,
} from "./pickle-values.ts";

/** Objects, list items, dict entries, memo slots and values on the stack, each: a 70B checkpoint needs about 10 000. */
const LARGEST_COUNT = 1 << 18;
const HIGHEST_PROTOCOL = 5;

/**
 * Runs a pickle and returns what it leaves. `where` names the file in messages.
 *
 * @throws {CriaError} "unsupported" for a class or opcode that is not plain data, "bad-file" for a broken pickle; both
 * with the byte.
 */
export function unpickle(bytes: Uint8Array, where: string): PickleValue {
  return new Machine(new PickleBytes(bytes, where)).run();
}

class Machine {
  readonly #input: PickleBytes;
  readonly #stack: PickleValue[] = [];
  /** Stack heights at open marks; values below the last one are out of reach. */
  readonly #marks: number[] = [];
  readonly #memo = new Map<number, PickleValue>();
  #madeCount = 0;

  constructor(input: PickleBytes) {
    this.#input = input;
  }

  run(): PickleValue {
    for (;;) {
      const opcode = this.#input.opcode();
      if (opcode === 0x2e) return this.#pop(); // STOP
      if (!this.#pushes(opcode) && !this.#builds(opcode) && !this.#remembers(opcode))
        throw this.#input.error("unsupported", `opcode 0x${opcode.toString(16)} is not used by checkpoints`);
    }
  }

  /** Opcodes that put a plain value on the stack. */
  #pushes(opcode: number): boolean {
    switch (opcode) {
      case 0x4e: // NONE
        this.#push(null);
        return true;
      case 0x88: // NEWTRUE
        this.#push(true);
        return true;
      case 0x89: // NEWFALSE
        this.#push(false);
        return true;
      case 0x4b: // BININT1
        this.#push(this.#input.uint8());
        return true;
      case 0x4d: // BININT2
        this.#push(this.#input.uint16());
        return true;
      case 0x4a: // BININT
        this.#push(this.#input.int32());
        return true;
      case 0x8a: // LONG1
        this.#push(this.#input.integer(this.#input.uint8()));
        return true;
      case 0x8b: // LONG4
        this.#push(this.#input.integer(this.#input.int32()));
        return true;
      case 0x47: // BINFLOAT, big-endian
        this.#push(this.#input.float64());
        return true;
      case 0x8c: // SHORT_BINUNICODE
        this.#push(this.#text(this.#input.uint8()));
        return true;
      case 0x58: // BINUNICODE
        this.#push(this.#text(this.#input.uint32()));
        return true;
      case 0x8d: // BINUNICODE8
        this.#push(this.#text(this.#input.uint64()));
        return true;
      default:
        return false;
    }
  }

  /** Opcodes that make containers, fill them, or call. */
  #builds(opcode: number): boolean {
    switch (opcode) {
      case 0x28: // MARK
        if (this.#marks.length >= LARGEST_COUNT) throw this.#input.error("bad-file", "too many marks");
        this.#marks.push(this.#stack.length);
        return true;
      case 0x29: // EMPTY_TUPLE
        this.#pushTuple([]);
        return true;
      case 0x85: // TUPLE1
        this.#pushTuple(this.#popMany(1));
        return true;
      case 0x86: // TUPLE2
        this.#pushTuple(this.#popMany(2));
        return true;
      case 0x87: // TUPLE3
        this.#pushTuple(this.#popMany(3));
        return true;
      case 0x74: // TUPLE
        this.#pushTuple(this.#popMarked());
        return true;
      case 0x5d: // EMPTY_LIST
        this.#count(1);
        this.#push({ kind: "list", items: [] });
        return true;
      case 0x61: // APPEND
        this.#append(this.#popMany(1));
        return true;
      case 0x65: // APPENDS
        this.#append(this.#popMarked());
        return true;
      case 0x7d: // EMPTY_DICT
        this.#push(this.#makeDict());
        return true;
      case 0x73: // SETITEM
        this.#set(this.#popMany(2));
        return true;
      case 0x75: // SETITEMS
        this.#set(this.#popMarked());
        return true;
      case 0x63: // GLOBAL
        this.#pushGlobal(this.#input.line(), this.#input.line());
        return true;
      case 0x93: {
        // STACK_GLOBAL
        const [module, name] = this.#popMany(2);
        if (typeof module !== "string" || typeof name !== "string")
          throw this.#input.error("bad-file", "imports something without a name");
        this.#pushGlobal(module, name);
        return true;
      }
      case 0x52: // REDUCE
        this.#call();
        return true;
      case 0x62: // BUILD
        this.#pop();
        // A state_dict carries module versions as an attribute of its OrderedDict, which no reader of weights needs.
        if (!isKind(this.#top(), "dict"))
          throw this.#input.error("unsupported", "sets the state of an object that is no dict");
        return true;
      case 0x51: {
        // BINPERSID
        const storage = storageOf(this.#pop());
        if (!storage)
          throw this.#input.error("unsupported", "refers to something that is no storage of numbers");
        this.#count(1);
        this.#push(storage);
        return true;
      }
      default:
        return false;
    }
  }

  /** Opcodes for the memo, the stack itself, and framing. */
  #remembers(opcode: number): boolean {
    switch (opcode) {
      case 0x80: {
        // PROTO
        const protocol = this.#input.uint8();
        if (protocol > HIGHEST_PROTOCOL)
          throw this.#input.error(
            "unsupported",
            `pickle protocol ${protocol}; expected at most ${HIGHEST_PROTOCOL}`,
          );
        return true;
      }
      case 0x95: // FRAME: a length, for readers of streams
        this.#input.uint64();
        return true;
      case 0x71: // BINPUT
        this.#remember(this.#input.uint8());
        return true;
      case 0x72: // LONG_BINPUT
        this.#remember(this.#input.uint32());
        return true;
      case 0x94: // MEMOIZE
        this.#remember(this.#memo.size);
        return true;
      case 0x68: // BINGET
        this.#recall(this.#input.uint8());
        return true;
      case 0x6a: // LONG_BINGET
        this.#recall(this.#input.uint32());
        return true;
      case 0x30: // POP
        this.#pop();
        return true;
      case 0x31: // POP_MARK
        this.#popMarked();
        return true;
      case 0x32: // DUP
        this.#push(this.#top());
        return true;
      default:
        return false;
    }
  }

  #call(): void {
    const [callee, args] = this.#popMany(2);
    if (!isKind(args, "tuple"))
      throw this.#input.error("bad-file", "calls a function without a tuple of arguments");
    this.#count(1);
    const result = callGlobal(callee as PickleValue, args.items, () => this.#makeDict());
    if (typeof result === "object" && result?.kind === "refused")
      throw this.#input.error("unsupported", result.reason);
    this.#push(result);
  }

  #pushGlobal(module: string, name: string): void {
    const value = allowedGlobal(module, name);
    if (!value)
      throw this.#input.error(
        "unsupported",
        `names the Python object ${clip(module)}.${clip(name)}; a checkpoint for Cria holds only tensors of float32, float16 or bfloat16`,
      );
    this.#push(value);
  }

  #pushTuple(items: PickleValue[]): void {
    this.#count(1 + items.length);
    this.#push({ kind: "tuple", items });
  }

  #append(items: PickleValue[]): void {
    const list = this.#top();
    if (!isKind(list, "list")) throw this.#input.error("bad-file", "appends to something that is no list");
    this.#count(items.length);
    for (const item of items) (list as PickleList).items.push(item);
  }

  #set(items: PickleValue[]): void {
    const dict = this.#top();
    if (!isKind(dict, "dict"))
      throw this.#input.error("bad-file", "sets an item of something that is no dict");
    if (items.length % 2 !== 0) throw this.#input.error("bad-file", "sets a key without a value");
    this.#count(items.length);
    for (let i = 0; i < items.length; i += 2) {
      const key = items[i] as PickleValue;
      if (typeof key === "object")
        throw this.#input.error("unsupported", "uses an object as the key of a dict");
      dict.entries.set(key, items[i + 1] as PickleValue);
    }
  }

  #makeDict(): PickleDict {
    this.#count(1);
    return { kind: "dict", entries: new Map() };
  }

  #remember(index: number): void {
    const value = this.#top();
    this.#memo.set(index, value);
    if (this.#memo.size > LARGEST_COUNT) throw this.#input.error("bad-file", "remembers too many values");
  }

  #recall(index: number): void {
    const value = this.#memo.get(index);
    if (value === undefined)
      throw this.#input.error("bad-file", `recalls value ${index}, which was not remembered`);
    this.#push(value);
  }

  #push(value: PickleValue): void {
    if (this.#stack.length >= LARGEST_COUNT) throw this.#input.error("bad-file", "piles up too many values");
    this.#stack.push(value);
  }

  #floor(): number {
    return this.#marks.at(-1) ?? 0;
  }

  #top(): PickleValue {
    if (this.#stack.length <= this.#floor())
      throw this.#input.error("bad-file", "needs a value, but the stack is empty");
    return this.#stack.at(-1) as PickleValue;
  }

  #pop(): PickleValue {
    const value = this.#top();
    this.#stack.pop();
    return value;
  }

  #popMany(count: number): PickleValue[] {
    if (this.#stack.length - count < this.#floor())
      throw this.#input.error("bad-file", `needs ${count} values, but the stack has fewer`);
    return this.#stack.splice(this.#stack.length - count);
  }

  #popMarked(): PickleValue[] {
    const mark = this.#marks.pop();
    if (mark === undefined) throw this.#input.error("bad-file", "needs a mark, but there is none");
    return this.#stack.splice(mark);
  }

  #text(byteLength: number): string {
    this.#count(1);
    return this.#input.text(byteLength);
  }

  #count(made: number): void {
    this.#madeCount += made;
    if (this.#madeCount > LARGEST_COUNT)
      throw this.#input.error("bad-file", `makes more than ${LARGEST_COUNT} objects`);
  }
}

/** Names come from the file: long ones are cut and odd characters shown as escapes. */
function clip(name: string): string {
  return JSON.stringify(name.slice(0, 80)).slice(1, -1);
}

import { describe, expect, it } from "vitest";
import { PickleWriter } from "../../../tests/builders/pth.ts";
import { CriaError } from "../../shared/errors.ts";
import { unpickle } from "./pickle.ts";
import { isKind, type PickleValue } from "./pickle-values.ts";

const run = (bytes: Uint8Array) => unpickle(bytes, "test.pkl");
const write = (...bytes: number[]) => new PickleWriter().bytes(...bytes);

/** Runs what `python3 -c "import pickle; print(pickle.dumps(value, protocol).hex())"` printed. */
const hex = (digits: string) =>
  run(Uint8Array.from(digits.match(/../g)!, (pair) => Number.parseInt(pair, 16)));

function plain(value: PickleValue): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (value.kind === "list" || value.kind === "tuple") return value.items.map(plain);
  if (value.kind === "dict")
    return Object.fromEntries([...value.entries].map(([k, v]) => [String(k), plain(v)]));
  return value;
}

describe("unpickle", () => {
  // {"a": [1, -2, 300, 70000, 2**40, -2**63], "b": (True, False, None, 0.5), "ü": {"c": "x"}, "d": ()}
  const value = {
    a: [1, -2, 300, 70_000, 2 ** 40, -(2n ** 63n)],
    b: [true, false, null, 0.5],
    ü: { c: "x" },
    d: [],
  };
  it.each([
    [
      2,
      "80027d71002858010000006171015d7102284b014afeffffff4d2c014a701101008a060000000000018a0800000000000000806558010000006271032888894e473fe00000000000007471045802000000c3bc71057d71065801000000637107580100000078710873580100000064710929752e",
    ],
    [
      4,
      "80049556000000000000007d94288c0161945d94284b014afeffffff4d2c014a701101008a060000000000018a080000000000000080658c0162942888894e473fe000000000000074948c02c3bc947d948c0163948c017894738c01649429752e",
    ],
    [
      5,
      "80059556000000000000007d94288c0161945d94284b014afeffffff4d2c014a701101008a060000000000018a080000000000000080658c0162942888894e473fe000000000000074948c02c3bc947d948c0163948c017894738c01649429752e",
    ],
  ])("reads what Python's pickle writes in protocol %i", (_protocol, digits) => {
    expect(plain(hex(digits))).toEqual(value);
  });

  it("refuses to import anything else, naming it and the byte", () => {
    const pickle = write(0x80, 2).global("os", "system").text("echo").bytes(0x85, 0x52, 0x2e).finish();
    expect(() => run(pickle)).toThrow(/byte 2: names the Python object os\.system/);
    const stackGlobal = write(0x80, 4).text("builtins").text("eval").bytes(0x93, 0x2e).finish();
    expect(() => run(stackGlobal)).toThrow("names the Python object builtins.eval");
  });

  it("refuses names that objects have in JavaScript", () => {
    for (const name of ["constructor", "__proto__", "toString"])
      expect(() => run(write().global(name, name).bytes(0x2e).finish())).toThrow(CriaError);
  });

  it("refuses calls of allowed names with other arguments", () => {
    const tensor = write().global("torch._utils", "_rebuild_tensor_v2").bytes(0x29, 0x52, 0x2e).finish();
    expect(() => run(tensor)).toThrow("makes a tensor without a storage");
    const dict = write().global("collections", "OrderedDict").integers([1]).bytes(0x52, 0x2e).finish();
    expect(() => run(dict)).toThrow("makes an OrderedDict from arguments");
    const storage = write().global("torch", "FloatStorage").bytes(0x29, 0x52, 0x2e).finish();
    expect(() => run(storage)).toThrow("not a function");
    expect(() => run(write(0x4e, 0x29, 0x52, 0x2e).finish())).toThrow("not a function");
  });

  it("refuses objects with a state, but drops a dict's", () => {
    expect(() => run(write(0x5d, 0x7d, 0x62, 0x2e).finish())).toThrow("sets the state");
    expect(isKind(run(write(0x7d, 0x7d, 0x62, 0x2e).finish()), "dict")).toBe(true);
  });

  it.each([0x81, 0x92, 0x82, 0x83, 0x84, 0x69, 0x6f, 0x96, 0x97, 0x50, 0xff])(
    "refuses opcode %i",
    (opcode) => {
      expect(() => run(write(0x29, 0x29, 0x28, opcode, 0, 0, 0, 0, 0, 0, 0, 0, 0x2e).finish())).toThrow(
        expect.objectContaining({ code: "unsupported" }),
      );
    },
  );

  it("reads cycles without walking them", () => {
    // l = []; l.append(l), held by a dict under its own name.
    const pickle = write(0x5d, 0x71, 0, 0x68, 0, 0x61, 0x2e).finish();
    const list = run(pickle);
    expect(isKind(list, "list") && list.items[0] === list).toBe(true);
  });

  it("reads deep nesting without recursion", () => {
    const depth = 100_000;
    const bytes = new Uint8Array(2 + depth).fill(0x85); // TUPLE1
    bytes[0] = 0x4e; // NONE
    bytes[depth + 1] = 0x2e;
    let value = run(bytes);
    let count = 0;
    for (; isKind(value, "tuple"); count++) value = value.items[0]!;
    expect(count).toBe(depth);
  });

  it("keeps a memo bomb as small as it is written", () => {
    // Each tuple holds the one before three times: 3^60 leaves, 60 objects.
    const pickle = write(0x4e, 0x71, 0);
    for (let level = 0; level < 60; level++)
      pickle.bytes(0x68, level, 0x68, level, 0x68, level, 0x87, 0x71, level + 1);
    expect(isKind(run(pickle.bytes(0x2e).finish()), "tuple")).toBe(true);
  });

  it.each([
    ["values on the stack", 0x4e],
    ["marks", 0x28],
    ["tuples", 0x29],
    ["lists", 0x5d],
    ["dicts", 0x7d],
  ])("limits the %s", (_what, opcode) => {
    expect(() => run(new Uint8Array(1 << 20).fill(opcode))).toThrow(
      expect.objectContaining({ code: "bad-file" }),
    );
  });

  it("limits the memo", () => {
    const pickle = new Uint8Array(5 << 19);
    pickle[0] = 0x4e;
    for (let at = 1, index = 0; at + 5 <= pickle.length; at += 5, index++) {
      pickle[at] = 0x72;
      new DataView(pickle.buffer).setUint32(at + 1, index, true);
    }
    expect(() => run(pickle)).toThrow("remembers too many values");
  });

  it("refuses huge integers and lengths before making anything", () => {
    expect(() => run(write(0x8b, 255, 255, 255, 127, 0x2e).finish())).toThrow(
      "an integer of 2147483647 bytes",
    );
    expect(() => run(write(0x8b, 255, 255, 255, 255, 0x2e).finish())).toThrow("an integer of -1 bytes");
    expect(() => run(write(0x58, 255, 255, 255, 255, 0x2e).finish())).toThrow("needs 4294967295 bytes");
    expect(() => run(write(0x8d, ...new Array<number>(8).fill(255), 0x2e).finish())).toThrow(CriaError);
  });

  it("never reaches below an open mark", () => {
    expect(() => run(write(0x4e, 0x28, 0x30, 0x2e).finish())).toThrow("the stack is empty");
    expect(() => run(write(0x4e, 0x4e, 0x28, 0x86, 0x2e).finish())).toThrow("needs 2 values");
    expect(() => run(write(0x2e).finish())).toThrow("the stack is empty");
    expect(() => run(write(0x74).finish())).toThrow("needs a mark");
    expect(() => run(write(0x68, 3).finish())).toThrow("was not remembered");
  });

  it("refuses every prefix of a pickle", () => {
    const pickle = write(0x80, 2, 0x7d, 0x28).text("name").integer(7).bytes(0x75, 0x2e).finish();
    expect(plain(run(pickle))).toEqual({ name: 7 });
    for (let length = 0; length < pickle.length; length++)
      expect(() => run(pickle.slice(0, length)), `${length}`).toThrow(
        expect.objectContaining({ code: "bad-file" }),
      );
  });
});

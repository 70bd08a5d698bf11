/**
 * Runs a Jinja template within a budget of work, so that no template can hang the program or fill its memory.
 *
 * The package's interpreter evaluates every node of a template through one method; here that method keeps accounts.
 * Work is counted in units of about one character touched:
 *
 *   every node             STEP_COST, and more for nodes that are slow in the package
 *   operands and results   their length (for operators, calls, filters and slices)
 *   search and replace     text length · pattern length, since both can take or make that much
 *   what is written        its length
 *   every round of a loop  LOOP_COST
 *
 * No value may be larger than `sizeLimit`, and nesting ends at DEPTH_LIMIT. Sizes count shared parts as often as they
 * occur, as writing them out would. Namespaces can change, so they may not lie inside other values: sizes stay true and
 * no value contains itself.
 *
 * Flow: template.ts (parsed template, variables) → BoundedInterpreter → text.
 */
import { CriaError } from "../../shared/errors.ts";
import {
  type JinjaEnvironment as Environment,
  Environment as EnvironmentClass,
  Interpreter,
  type JinjaNode,
  type JinjaValue as Value,
} from "./jinja-engine.ts";
import { equalInPython, stripInPython, textInPython } from "./python-values.ts";

type Node = JinjaNode | undefined;

const STEP_COST = 32;
const LOOP_COST = 128;
/** A failed lookup and a `break` each make an error object in the package, which takes microseconds. */
const EXCEPTION_COST = 512;
const DEPTH_LIMIT = 600;
const BASE_BUDGET = 2 ** 24;
const BASE_SIZE = 2 ** 20;
/** Comparing is faster than writing. */
const SCAN_SHARE = 16;

/** Nodes whose cost grows with their operands. */
const WORKING_NODES: ReadonlySet<string> = new Set([
  "BinaryExpression",
  "CallExpression",
  "CallStatement",
  "FilterExpression",
  "FilterStatement",
  "TestExpression",
  "ArrayLiteral",
  "TupleLiteral",
  "ObjectLiteral",
]);
/** Filters whose output can be the operand times an argument. */
const MULTIPLYING_FILTERS: ReadonlySet<string> = new Set(["replace", "join", "indent", "tojson"]);
/** Filters of a list that only look at its length or its ends. */
const CHEAP_FILTERS: ReadonlySet<string> = new Set(["first", "last", "length", "list", "reverse", "default"]);
/** Filters that compare one attribute of every element. */
const SELECTING_FILTERS: ReadonlySet<string> = new Set(["selectattr", "rejectattr", "map", "items"]);

/** A node that is being evaluated, and what its finished parts were. */
interface Frame {
  readonly node: NonNullable<Node>;
  /** Size of the operand, receiver or left side. */
  operand: number;
  /** Whether that is a text. */
  isText: boolean;
  /** Size of the longest argument that can multiply the operand. */
  factor: number;
  /** The text whose method is taken. */
  receiver?: string;
  /** What a filter is applied to. */
  input?: Value;
  /** Of a loop: what its last round had written when it was left by a `break`. */
  unfinished: string;
}

/** Operators that the package evaluates otherwise than Python. */
const PYTHON_OPERATORS: ReadonlySet<string> = new Set(["==", "!=", "~", "in", "not in"]);
const STRIPS: ReadonlySet<string> = new Set(["strip", "lstrip", "rstrip"]);
/** Nodes that stand for no value: what they give is text that they wrote, or nothing. */
const STATEMENTS: ReadonlySet<string> = new Set([
  "Set",
  "If",
  "For",
  "Macro",
  "Comment",
  "CallStatement",
  "FilterStatement",
]);
const YES: Value = new EnvironmentClass().set("yes", true);
const NO: Value = new EnvironmentClass().set("no", false);

/** A node that has been evaluated already. */
class Settled implements JinjaNode {
  readonly type = "Settled";
  readonly value: Value;

  constructor(value: Value) {
    this.value = value;
  }
}

export interface TemplateParts {
  /** Nodes whose value is written to the text. */
  readonly outputs: ReadonlySet<unknown>;
  /** Nodes whose value is looped over. */
  readonly iterables: ReadonlySet<unknown>;
  /** Bodies of loops. */
  readonly loopBodies: ReadonlySet<unknown>;
  /** Characters of the template's source. */
  readonly length: number;
}

export class BoundedInterpreter extends Interpreter {
  readonly #parts: TemplateParts;
  readonly #sizeLimit: number;
  readonly #frames: Frame[] = [];
  readonly #sizes = new WeakMap<object, number>();
  /** Sizes of the texts and mappings that methods such as `text.replace` belong to. */
  readonly #receivers = new WeakMap<object, { size: number; isText: boolean }>();
  /** By the error that a `break` or `continue` makes: which of the two, and what the round had written before. */
  readonly #leaving = new WeakMap<object, { readonly type: string; written: string }>();
  #budget: number;

  constructor(environment: Environment, variables: readonly string[], parts: TemplateParts) {
    super(environment);
    this.#parts = parts;
    let inputSize = 0;
    for (const name of variables) inputSize += this.#sizeOf(environment.lookupVariable(name));
    this.#sizeLimit = BASE_SIZE + 4 * inputSize;
    this.#budget = BASE_BUDGET + 64 * inputSize;
  }

  override evaluate(node: Node, environment: Environment): Value {
    if (node === undefined) return super.evaluate(node, environment);
    if (node instanceof Settled) return node.value;
    this.#spend(this.#costOf(node));
    if (this.#frames.length >= DEPTH_LIMIT)
      throw new CriaError("bad-template", `the chat template nests deeper than ${DEPTH_LIMIT} levels`);
    const frame: Frame = { node, operand: 0, isText: false, factor: 1, unfinished: "" };
    const parent = this.#frames.at(-1);
    this.#frames.push(frame);
    let value: Value;
    try {
      value = super.evaluate(node, environment);
      if (node.type === "MemberExpression") this.#withArguments(frame, value, environment);
      if (node.type === "FilterExpression") value = this.#filtered(frame, value, environment);
      if (frame.unfinished !== "")
        value = this.#text(`${String(value.value)}${frame.unfinished}`, environment);
    } catch (error) {
      if (node.type === "Break" || node.type === "Continue")
        this.#leaving.set(error as object, { type: node.type, written: "" });
      throw error;
    } finally {
      this.#frames.pop();
    }
    this.#account(frame, value, parent);
    return value;
  }

  /**
   * What the statements write, as Python does: True, None and ['a'] where the package writes true, nothing and ["a"].
   * A round of a loop has its own variables, and what it writes stays when `break` or `continue` ends it.
   */
  override evaluateBlock(statements: readonly JinjaNode[], environment: Environment): Value {
    const isRound = this.#parts.loopBodies.has(statements);
    const scope = isRound ? new EnvironmentClass(environment) : environment;
    let written = "";
    try {
      for (const statement of statements) {
        const value = this.evaluate(statement, scope);
        if (!STATEMENTS.has(statement.type)) written += textInPython(value);
        else if (typeof value.value === "string") written += value.value;
      }
    } catch (error) {
      const left = this.#leaving.get(error as object);
      if (!left) throw error;
      left.written = written + left.written;
      const loop = this.#frames.at(-1);
      if (!isRound || !loop) throw error;
      if (left.type === "Break") {
        loop.unfinished = left.written;
        throw error;
      }
      written = left.written;
    }
    return this.#text(written, environment);
  }

  /** Comparing, joining and remainders as in Python; the package compares as JavaScript's == does. */
  override evaluateBinaryExpression(node: JinjaNode, environment: Environment): Value {
    const operator = String(field(field(node, "operator"), "value"));
    if (!PYTHON_OPERATORS.has(operator)) return super.evaluateBinaryExpression(node, environment);
    const left = this.evaluate(field(node, "left") as JinjaNode, environment);
    const right = this.evaluate(field(node, "right") as JinjaNode, environment);
    if (operator === "~") return this.#text(textInPython(left) + textInPython(right), environment);
    this.#spend(Math.min(this.#sizeOf(left), this.#sizeOf(right)) / SCAN_SHARE);
    if (operator === "==" || operator === "!=")
      return equalInPython(left, right) === (operator === "==") ? YES : NO;
    if ((operator === "in" || operator === "not in") && Array.isArray(right.value)) {
      this.#spend(this.#sizeOf(right) / SCAN_SHARE);
      const found = (right.value as Value[]).some((item) => equalInPython(item, left));
      return found === (operator === "in") ? YES : NO;
    }
    const settled = { ...node, left: new Settled(left), right: new Settled(right) };
    return super.evaluateBinaryExpression(settled, environment);
  }

  /** `strip` and its like take the characters to remove; the package's take none. */
  #withArguments({ node, receiver }: Frame, method: Value, environment: Environment): void {
    const name = String(field(field(node, "property"), "value"));
    if (receiver === undefined || method.type !== "FunctionValue" || !STRIPS.has(name)) return;
    const strip = ([named]: readonly Value[]): Value =>
      this.#text(
        stripInPython(receiver, name, typeof named?.value === "string" ? named.value : undefined),
        environment,
      );
    (method as { value: unknown }).value = strip;
  }

  /** What the filters `string` and `trim` give in Python. */
  #filtered({ node, input }: Frame, value: Value, environment: Environment): Value {
    const name = filterName(node);
    if (input === undefined || typeof value.value !== "string") return value;
    if (name === "string") return this.#text(textInPython(input), environment);
    if (name !== "trim" || typeof input.value !== "string") return value;
    return this.#text(stripInPython(input.value), environment);
  }

  #text(text: string, environment: Environment): Value {
    return super.evaluate({ type: "StringLiteral", value: text } as JinjaNode, environment);
  }

  #spend(work: number): void {
    this.#budget -= work;
    if (this.#budget < 0)
      throw new CriaError("bad-template", "the chat template takes too much work for these messages");
  }

  #costOf(node: NonNullable<Node>): number {
    switch (node.type) {
      case "Break":
      case "Continue":
        return EXCEPTION_COST;
      case "Macro":
      case "CallStatement":
        // The package walks through the whole body each time that it defines one.
        return STEP_COST + this.#parts.length;
      default:
        return STEP_COST;
    }
  }

  #account(frame: Frame, value: Value, parent: Frame | undefined): void {
    const { node } = frame;
    const size = this.#sizeOf(value);
    if (size > this.#sizeLimit)
      throw new CriaError(
        "bad-template",
        `the chat template makes a value of more than ${this.#sizeLimit} characters`,
      );
    if (node.type === "Identifier" && value.type === "UndefinedValue") this.#spend(EXCEPTION_COST);
    if (WORKING_NODES.has(node.type)) this.#spend(lengthOf(value));
    if (node.type === "MemberExpression") this.#accountMember(frame, value);
    if (this.#parts.outputs.has(node)) this.#spend(size);
    if (this.#parts.iterables.has(node)) this.#spend(LOOP_COST * lengthOf(value));
    if (parent) this.#accountOperand(parent, node, value, size);
  }

  /** Remembers whose method was taken; a slice copies its whole object first. */
  #accountMember(frame: Frame, value: Value): void {
    const property = field(frame.node, "property");
    if (typeOf(property) === "SliceExpression") this.#spend(frame.operand + lengthOf(value));
    if (value.type === "FunctionValue")
      this.#receivers.set(value, { size: frame.operand, isText: frame.isText });
  }

  /** Charges the parent for a finished part, before it uses it. */
  #accountOperand(parent: Frame, node: NonNullable<Node>, value: Value, size: number): void {
    const isText = typeof value.value === "string";
    switch (parent.node.type) {
      case "MemberExpression":
        if (node === field(parent.node, "object")) {
          if (isText) parent.receiver = value.value as string;
          parent.operand = isText ? size : lengthOf(value);
          parent.isText = isText;
        }
        return;
      case "BinaryExpression":
        this.#spend(lengthOf(value));
        // `in` may compare the one with every place of the other.
        if (node === field(parent.node, "left")) parent.operand = lengthOf(value);
        else if (isSearch(parent.node)) this.#spend((parent.operand * lengthOf(value)) / SCAN_SHARE);
        return;
      case "CallExpression":
      case "CallStatement":
        this.#accountCall(parent, node, value, isText || Array.isArray(value.value) ? size : 1);
        return;
      case "FilterExpression":
        if (node === field(parent.node, "operand")) {
          parent.operand = size;
          parent.input = value;
          this.#spend(filterCost(filterName(parent.node), value, size));
        } else this.#accountFilterArgument(parent, value, size);
        return;
      case "FilterStatement":
        if (this.#parts.outputs.has(node)) parent.operand += size;
        else this.#accountFilterArgument(parent, value, size);
        return;
      case "TestExpression":
        this.#spend(isText ? size : 1);
        return;
      default:
    }
  }

  #accountCall(parent: Frame, node: NonNullable<Node>, value: Value, factor: number): void {
    const call = parent.node.type === "CallStatement" ? field(parent.node, "call") : parent.node;
    if (node !== field(call, "callee")) {
      // Arguments come first; a keyword argument's value is a part of the call as well.
      parent.factor = Math.max(parent.factor, factor);
      this.#spend(factor);
      return;
    }
    const receiver = this.#receivers.get(value);
    if (receiver) this.#spend(receiver.isText ? receiver.size * parent.factor : receiver.size);
  }

  #accountFilterArgument(parent: Frame, value: Value, size: number): void {
    if (!MULTIPLYING_FILTERS.has(filterName(parent.node))) return;
    const factor = typeof value.value === "number" ? Math.abs(value.value) : size;
    this.#spend(parent.operand * Math.max(1, Number.isNaN(factor) ? 1 : factor));
  }

  /** Characters that the value takes when written out, roughly and at least one. */
  #sizeOf(value: Value): number {
    const content: unknown = value.value;
    if (typeof content === "string") return content.length;
    if (!(content instanceof Map) && !Array.isArray(content))
      return typeof content === "function" ? 1024 : 24;
    const known = this.#sizes.get(value);
    if (known !== undefined) return known;
    let size = 2;
    for (const part of content.values() as Iterable<Value>) {
      if (part.type === "NamespaceValue")
        throw new CriaError("bad-template", "the chat template puts a namespace inside another value");
      size += this.#sizeOf(part) + 2;
    }
    if (content instanceof Map) for (const key of content.keys()) size += String(key).length + 4;
    if (value.type === "NamespaceValue") this.#spend(lengthOf(value));
    else this.#sizes.set(value, size);
    return size;
  }
}

function filterCost(name: string, operand: Value, size: number): number {
  if (typeof operand.value === "string" || !(CHEAP_FILTERS.has(name) || SELECTING_FILTERS.has(name)))
    return size;
  return lengthOf(operand) + (SELECTING_FILTERS.has(name) ? size / SCAN_SHARE : 0);
}

/** Characters or elements at the top level. */
function lengthOf(value: Value): number {
  const content: unknown = value.value;
  if (typeof content === "string" || Array.isArray(content)) return content.length;
  return content instanceof Map ? content.size : 1;
}

function isSearch(node: NonNullable<Node>): boolean {
  const operator = field(field(node, "operator"), "value");
  return operator === "in" || operator === "not in";
}

function filterName(node: NonNullable<Node>): string {
  const filter = field(node, "filter");
  const name = typeOf(filter) === "CallExpression" ? field(filter, "callee") : filter;
  return String(field(name, "value"));
}

function typeOf(node: unknown): unknown {
  return field(node, "type");
}

/** A field of a node; the package does not export the types of its nodes. */
export function field(node: unknown, name: string): unknown {
  return typeof node === "object" && node !== null ? (node as Record<string, unknown>)[name] : undefined;
}

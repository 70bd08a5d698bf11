/**
 * The parts of @huggingface/jinja that templates are run with, and their types.
 *
 * The package's own declarations import their files without an extension, which TypeScript does not find under Node's
 * rules, so what is used of them is declared here.
 */
import * as jinja from "@huggingface/jinja";

/** A part of a parsed template. */
export interface JinjaNode {
  readonly type: string;
}

/** A value while a template runs: text, number, list, mapping, function … */
export interface JinjaValue {
  readonly type: string;
  readonly value: unknown;
}

export interface JinjaEnvironment {
  set(name: string, value: unknown): JinjaValue;
  lookupVariable(name: string): JinjaValue;
}

export interface JinjaInterpreter {
  run(program: JinjaNode): JinjaValue;
  evaluate(node: JinjaNode | undefined, environment: JinjaEnvironment): JinjaValue;
  evaluateBlock(statements: readonly JinjaNode[], environment: JinjaEnvironment): JinjaValue;
  evaluateBinaryExpression(node: JinjaNode, environment: JinjaEnvironment): JinjaValue;
}

interface JinjaEngine {
  readonly Environment: new (parent?: JinjaEnvironment) => JinjaEnvironment;
  readonly Interpreter: new (environment: JinjaEnvironment) => JinjaInterpreter;
  tokenize(source: string, options: { lstrip_blocks: boolean; trim_blocks: boolean }): unknown;
  parse(tokens: unknown): JinjaNode;
}

const engine = jinja as unknown as JinjaEngine;

export const Environment: JinjaEngine["Environment"] = engine.Environment;
export const Interpreter: JinjaEngine["Interpreter"] = engine.Interpreter;
export const tokenize: JinjaEngine["tokenize"] = engine.tokenize;
export const parse: JinjaEngine["parse"] = engine.parse;

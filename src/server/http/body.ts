/**
 * Reads a request's JSON within limits, and checks it against a schema.
 *
 *   bytes ≤ limit (413) → UTF-8 → nesting ≤ limit → JSON → null fields dropped → schema (400 names the field)
 *
 * OpenAI's clients write null for fields that are not set, so a null is the same as no field.
 *
 * Flow: Request → readBody → handlers.
 */
import type { z } from "zod";
import { RequestError } from "./errors.ts";

export interface BodyLimits {
  /** Longest body in bytes. */
  readonly bodyBytes: number;
  /** Deepest nesting of arrays and objects. */
  readonly jsonDepth: number;
}

/** @throws {RequestError} 400, 413 or 415, with the field at fault in `param`. */
export async function readBody<Body>(
  request: Request,
  schema: z.ZodType<Body>,
  limits: BodyLimits,
): Promise<Body> {
  const text = await readText(request, limits.bodyBytes);
  checkDepth(text, limits.jsonDepth);
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch (error) {
    throw new RequestError(400, `the body is not JSON: ${(error as Error).message}`);
  }
  return checkBody(withoutNulls(data), schema);
}

/** @throws {RequestError} 400 that names the first field at fault. */
function checkBody<Body>(data: unknown, schema: z.ZodType<Body>): Body {
  const parsed = schema.safeParse(data);
  if (parsed.success) return parsed.data;
  const { message, param, unknown } = describeIssue(parsed.error.issues[0]);
  throw new RequestError(400, message, { param, code: unknown ? "unknown_parameter" : "invalid_value" });
}

async function readText(request: Request, limit: number): Promise<string> {
  const tooLarge = () =>
    new RequestError(413, `the body is too large: at most ${limit} bytes are read`, {
      code: "request_too_large",
    });
  if (Number(request.headers.get("content-length") ?? 0) > limit) throw tooLarge();
  const encoding = request.headers.get("content-encoding") ?? "identity";
  if (encoding.toLowerCase() !== "identity")
    throw new RequestError(415, `content-encoding: ${encoding} is not read here; send the body as it is`);
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let text = "";
  let received = 0;
  try {
    for await (const bytes of request.body ?? []) {
      received += bytes.byteLength;
      if (received > limit) throw tooLarge();
      text += decoder.decode(bytes, { stream: true });
    }
    return text + decoder.decode();
  } catch (error) {
    if (error instanceof TypeError) throw new RequestError(400, "the body is not UTF-8 text");
    throw error;
  }
}

/** Counts brackets outside of strings, so that no parser has to recurse deeper than the limit. */
function checkDepth(text: string, limit: number): void {
  let depth = 0;
  let inString = false;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (inString) {
      if (code === 0x5c) at++;
      else if (code === 0x22) inString = false;
    } else if (code === 0x22) inString = true;
    else if (code === 0x7b || code === 0x5b) {
      if (++depth > limit)
        throw new RequestError(400, `the body nests deeper than ${limit} levels`, { code: "json_too_deep" });
    } else if (code === 0x7d || code === 0x5d) depth--;
  }
}

/** What is not the request's own: in schemas, arguments and the template's variables a null is a value. */
const foreign = new Set([
  "schema",
  "parameters",
  "guided_json",
  "format",
  "arguments",
  "chat_template_kwargs",
]);

/** Nesting is limited before this. */
function withoutNulls(data: unknown, isTop = true): unknown {
  if (Array.isArray(data)) return data.map((item) => withoutNulls(item, false));
  if (typeof data !== "object" || data === null) return data;
  return Object.fromEntries(
    Object.entries(data)
      .filter(([, value]) => value !== null)
      .map(([key, value]) => {
        // llama.cpp's field of this name is a schema; inside of response_format it has one.
        const isForeign = foreign.has(key) || (isTop && key === "json_schema");
        return [key, isForeign ? value : withoutNulls(value, false)];
      }),
  );
}

/** Zod's first complaint in our words. Of the branches of a union, the one that got furthest is the one meant. */
function describeIssue(issue: z.core.$ZodIssue): { message: string; param: string | null; unknown: boolean } {
  if (issue.code === "invalid_union" && issue.errors.length > 0) {
    const depth = (issues: readonly z.core.$ZodIssue[]) =>
      Math.max(...issues.map(({ path, code }) => path.length + (code === "invalid_union" ? 1 : 0)));
    const furthest = issue.errors
      .filter((issues) => issues.length > 0)
      .sort((a, b) => depth(b) - depth(a))[0];
    if (furthest && depth(furthest) > 0) {
      const inner = furthest[0];
      return describeIssue({ ...inner, path: [...issue.path, ...inner.path] });
    }
  }
  const field = pathText(issue.path);
  if (issue.code === "unrecognized_keys") {
    const name = field === "" ? issue.keys[0] : `${field}.${issue.keys[0]}`;
    return { message: `${name}: this server does not know this field`, param: name, unknown: true };
  }
  const message = field === "" ? `the body: ${issue.message}` : `${field}: ${issue.message}`;
  return { message, param: field === "" ? null : field, unknown: false };
}

/** `messages[0].content` */
function pathText(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, key) =>
      typeof key === "number" ? `${text}[${key}]` : text === "" ? String(key) : `${text}.${String(key)}`,
    "",
  );
}

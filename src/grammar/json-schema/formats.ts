/**
 * What the values of `format` look like, as regular expressions of ours. Each is a part of what the format admits: the
 * usual part, which every checker takes.
 *
 * Source: RFC 3339 (date, time, duration), 4122, 3986, 2673, 4291, 5321, 1123, 6901.
 */
import { parseRegex } from "../regex/parse.ts";
import type { Regex } from "../regex/syntax.ts";

const leapYear = "(?:\\d\\d(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)";
const date =
  "(?:\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)" +
  `|02-(?:0[1-9]|1\\d|2[0-8]))|${leapYear}-02-29)`;
const clock = "(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d{1,9})?";
const offset = "(?:Z|[+-](?:[01]\\d|2[0-3]):[0-5]\\d)";
const label = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?";
// 253 characters at most: three whole labels and one of 61.
const host = `${label}(?:\\.${label}){0,2}(?:\\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,59}[A-Za-z0-9])?)?`;
const byte = "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]\\d|\\d)";
const group = "[0-9a-fA-F]{1,4}";
const uriCharacter = "(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})";
const uriTail = `(?:/${uriCharacter}*)*(?:\\?(?:${uriCharacter}|[/?])*)?(?:#(?:${uriCharacter}|[/?])*)?`;

const formats: Readonly<Record<string, string>> = {
  date,
  time: clock + offset,
  "date-time": `${date}T${clock}${offset}`,
  duration:
    "P(?:\\d{1,9}W|(?:\\d{1,9}Y(?:\\d{1,9}M(?:\\d{1,9}D)?)?|\\d{1,9}M(?:\\d{1,9}D)?|\\d{1,9}D)" +
    "(?:T(?:\\d{1,9}H(?:\\d{1,9}M(?:\\d{1,9}S)?)?|\\d{1,9}M(?:\\d{1,9}S)?|\\d{1,9}S))?" +
    "|T(?:\\d{1,9}H(?:\\d{1,9}M(?:\\d{1,9}S)?)?|\\d{1,9}M(?:\\d{1,9}S)?|\\d{1,9}S))",
  // Bounded, as a small model may never leave a part that is not.
  email: `[A-Za-z0-9_+-]{1,20}(?:\\.[A-Za-z0-9_+-]{1,20}){0,2}@(?:${label}\\.){1,3}[A-Za-z]{2,20}`,
  hostname: host,
  ipv4: `${byte}(?:\\.${byte}){3}`,
  ipv6:
    `(?:${group}(?::${group}){7}|::|(?:${group}(?::${group}){0,2})::(?:${group}(?::${group}){0,3})` +
    `|::${group}(?::${group}){0,6}|${group}(?::${group}){0,6}::)`,
  uuid: "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
  uri: `(?:https?|ftp|[a-z][a-z0-9+.-]{0,20})://${host}(?::[1-9]\\d{0,3})?${uriTail}`,
  "json-pointer": "(?:/(?:[^~/]|~[01])*)*",
};

/** Names under which zod repeats what its `pattern` already says. */
const patternFormats = new Set(
  "base64 base64url cidrv4 cidrv6 cuid cuid2 e164 ends_with hex includes ksuid lowercase nanoid regex starts_with ulid uppercase xid".split(
    " ",
  ),
);

/**
 * Patterns that zod adds to a format and that need look-ahead. Our expression of the format lies within them, so they
 * add nothing to it.
 */
const impliedPatterns: Readonly<Record<string, string>> = {
  duration:
    "^P(?:(\\d+W)|(?!.*W)(?=\\d|T\\d)(\\d+Y)?(\\d+M)?(\\d+D)?(T(?=\\d)(\\d+H)?(\\d+M)?(\\d+([.,]\\d+)?S)?)?)$",
  hostname:
    "^(?=.{1,253}\\.?$)[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?" +
    "(?:\\.[a-zA-Z0-9](?:[-0-9a-zA-Z]{0,61}[0-9a-zA-Z])?)*\\.?$",
};

const parsed = new Map<string, Regex>();

/** undefined for a format that is not known. */
export function formatRegex(name: string): Regex | undefined {
  const source = Object.hasOwn(formats, name) ? formats[name] : undefined;
  if (source === undefined) return undefined;
  let regex = parsed.get(name);
  if (!regex) {
    regex = parseRegex(`^(?:${source})$`);
    parsed.set(name, regex);
  }
  return regex;
}

export const knownFormats: readonly string[] = Object.keys(formats);

/** A format that says nothing about numbers. */
export function isStringFormat(format: unknown): boolean {
  return typeof format === "string" && (Object.hasOwn(formats, format) || patternFormats.has(format));
}

/** The format stands beside a pattern that says all of it. */
export function isSaidByPattern(format: string): boolean {
  return patternFormats.has(format);
}

/** The pattern is one that every text of the format fits. */
export function isImplied(format: string, pattern: string): boolean {
  return Object.hasOwn(impliedPatterns, format) && pattern === impliedPatterns[format];
}

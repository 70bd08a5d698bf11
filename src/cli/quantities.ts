/** Numbers as people read them: bytes, counts, rates. */

const BYTE_UNITS = ["B", "kB", "MB", "GB", "TB"];

/** `4.37 GB`: three digits, decimal units as disks and downloads have them. */
export function formatBytes(bytes: number): string {
  return withUnit(bytes, BYTE_UNITS);
}

const COUNT_UNITS = ["", " thousand", " million", " billion", " trillion"];

/** `1.10 billion`. */
export function formatCount(count: number): string {
  return withUnit(count, COUNT_UNITS).trimEnd();
}

/** `12,345`. */
export function formatInteger(value: number): string {
  return value.toLocaleString("en-US");
}

/** `12.3 tokens/s`. */
export function formatRate(perSecond: number): string {
  return `${perSecond >= 100 ? perSecond.toFixed(0) : perSecond.toFixed(1)} tokens/s`;
}

/** "1 token", "2 tokens". */
export function plural(count: number, noun: string): string {
  return `${formatInteger(count)} ${noun}${count === 1 ? "" : "s"}`;
}

function withUnit(value: number, units: readonly string[]): string {
  let scaled = value;
  let unit = 0;
  // 999.5 would round to 1000 of the smaller unit.
  while (scaled >= 999.5 && unit < units.length - 1) {
    scaled /= 1000;
    unit++;
  }
  const digits = unit === 0 ? 0 : scaled >= 99.95 ? 0 : scaled >= 9.995 ? 1 : 2;
  const separator = units[unit].startsWith(" ") || units[unit] === "" ? "" : " ";
  return `${scaled.toFixed(digits)}${separator}${units[unit]}`;
}

/**
 * Python's strftime for chat templates, which write the date into a prompt: English names, local time.
 *
 * Flow: template.ts (`strftime_now`) → formatTime → text.
 */

const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December",
];

/** The time in a format of %-codes; an unknown code stays as it is. */
export function formatTime(time: Date, format: string): string {
  return format.replace(/%([a-zA-Z%])/g, (code, letter: string) => CODES[letter]?.(time) ?? code);
}

const CODES: Readonly<Record<string, (time: Date) => string>> = {
  Y: (time) => String(time.getFullYear()),
  y: (time) => two(time.getFullYear() % 100),
  m: (time) => two(time.getMonth() + 1),
  d: (time) => two(time.getDate()),
  B: (time) => MONTHS[time.getMonth()],
  b: (time) => MONTHS[time.getMonth()].slice(0, 3),
  A: (time) => DAYS[time.getDay()],
  a: (time) => DAYS[time.getDay()].slice(0, 3),
  H: (time) => two(time.getHours()),
  I: (time) => two(time.getHours() % 12 || 12),
  M: (time) => two(time.getMinutes()),
  S: (time) => two(time.getSeconds()),
  p: (time) => (time.getHours() < 12 ? "AM" : "PM"),
  "%": () => "%",
};

function two(value: number): string {
  return String(value).padStart(2, "0");
}

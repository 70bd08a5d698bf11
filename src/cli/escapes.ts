/**
 * The escapes that llama.cpp reads in a prompt typed on a command line, where a line break is hard to type.
 *
 *   \n \r \t \' \" \\ \xHH      \xHH is a byte: \xC3\xA9 is é
 *
 * Any other backslash stays what it is.
 */

const SIMPLE: Readonly<Record<string, string>> = {
  n: "\n",
  r: "\r",
  t: "\t",
  "'": "'",
  '"': '"',
  "\\": "\\",
};

/** The text with its escapes replaced; bytes that are no UTF-8 become U+FFFD. */
export function unescapeText(text: string): string {
  return text.replace(/(?:\\x[0-9a-fA-F]{2})+|\\[nrt'"\\]/g, (written) => {
    if (written[1] !== "x") return SIMPLE[written[1]];
    const bytes = written.split("\\x").slice(1);
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(
      Uint8Array.from(bytes, (hex) => Number.parseInt(hex, 16)),
    );
  });
}

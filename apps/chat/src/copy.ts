/**
 * Puts a text on the clipboard. Browsers give that only to safe addresses, which a page from another machine over plain
 * HTTP has not; there the old way of marking text and copying it still works.
 */
export async function copy(text: string): Promise<void> {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

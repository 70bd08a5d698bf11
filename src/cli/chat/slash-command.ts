/** What a line typed in a chat asks for: a message, or a command that begins with a slash. */

export const COMMAND_HELP = [
  ["/help", "this list"],
  ["/system TEXT", "set the system prompt; alone: show it"],
  ["/regenerate", "answer the last message again"],
  ["/undo", "take back the last message and its answer"],
  ["/clear", "start over; the system prompt stays"],
  ["/save FILE", "write the conversation as JSON"],
  ["/load FILE", "go on with a saved conversation"],
  ["/stats", "show the model, the context and the speed"],
  ["/exit", "end; so does Ctrl-D"],
] as const;

type CommandName = "help" | "system" | "regenerate" | "undo" | "clear" | "save" | "load" | "stats" | "exit";

/** A line that begins with "//" is a message that begins with one slash. */
export type ChatLine =
  | { readonly kind: "empty" }
  | { readonly kind: "message"; readonly text: string }
  | { readonly kind: "command"; readonly name: CommandName; readonly text: string }
  | { readonly kind: "wrong"; readonly reason: string };

const NAMES = COMMAND_HELP.map(([usage]) => usage.slice(1).split(" ")[0] as CommandName);
const SYNONYMS: Readonly<Record<string, CommandName>> = {
  quit: "exit",
  bye: "exit",
  "?": "help",
  regen: "regenerate",
};

export function parseChatLine(line: string): ChatLine {
  if (line.trim() === "") return { kind: "empty" };
  if (line.startsWith("//")) return { kind: "message", text: line.slice(1) };
  if (!line.startsWith("/")) return { kind: "message", text: line };
  const [, word, text] = /^\/(\S*)\s*([\s\S]*)$/.exec(line) as RegExpExecArray;
  const name =
    NAMES.find((known) => known === word) ?? (Object.hasOwn(SYNONYMS, word) ? SYNONYMS[word] : undefined);
  if (name === undefined)
    return {
      kind: "wrong",
      reason: `there is no /${word}; /help lists the commands, // begins a message with a slash`,
    };
  if ((name === "save" || name === "load") && text.trim() === "")
    return { kind: "wrong", reason: `name a file: /${name} chat.json` };
  return { kind: "command", name, text: text.trim() };
}

/** Names that complete a word which begins with a slash. */
export function completeCommand(line: string): [matches: string[], line: string] {
  if (!/^\/\S*$/.test(line)) return [[], line];
  return [NAMES.map((name) => `/${name}`).filter((name) => name.startsWith(line)), line];
}

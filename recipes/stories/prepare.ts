/**
 * Makes the training data of the default model: `node recipes/stories/prepare.ts --data DATA --output FOLDER`.
 *
 * DATA is the folder of public data (see docs/default-model.md for what it must hold). Written are, one record a line:
 *
 *   text.jsonl       {text}       stories as they are; those that come in lower case get their capitals back by rule
 *   chat.jsonl       {messages}   the same stories as answers: asked for by their subject, or to be continued
 *   tales.jsonl      {messages}   children's tales that were written for a request
 *   held-out.txt     the last 5 % of the stories, which nothing else contains; separated by <|endoftext|>
 *
 * Requests are derived from the stories by rule, so the same input gives the same files.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";

interface Chat {
  readonly messages: readonly { readonly role: "user" | "assistant"; readonly content: string }[];
}

const heldOutShare = 0.05;
/** Longer tales would be cut more than once by the model's window. */
const longestTale = 2700;

const { values } = parseArgs({
  options: { data: { type: "string" }, output: { type: "string" } },
});
if (!values.data || !values.output) {
  console.error("usage: node recipes/stories/prepare.ts --data DATA --output FOLDER");
  process.exit(2);
}
const { data, output } = values;

const stories = readFileSync(join(data, "text/tinystories/tinystories.txt"), "utf8")
  .split("<|endoftext|>")
  .map(clean)
  .filter((story) => story.length >= 100);
const heldOutFirst = Math.floor(stories.length * (1 - heldOutShare));
const heldOut = stories.slice(heldOutFirst);
// A story that occurs twice must not be learned from and held out at once.
const known = new Set(heldOut.map(start));
const cased = stories.slice(0, heldOutFirst).filter((story) => !known.has(start(story)));
const learned = [...cased, ...restored()].filter((story) => {
  const seen = known.has(start(story));
  known.add(start(story));
  return !seen;
});

const tales = readdirSync(join(data, "text/snakes"))
  .filter((name) => /^generated-(child|bedtime)-\d+\.md$/.test(name))
  .sort()
  .flatMap((name) => readTales(join(data, "text/snakes", name)));

mkdirSync(output, { recursive: true });
writeLines(
  "text.jsonl",
  learned.map((text) => ({ text })),
);
writeLines("chat.jsonl", learned.map(asChat));
writeLines("tales.jsonl", tales);
writeFileSync(join(output, "held-out.txt"), heldOut.join("\n<|endoftext|>\n"));
console.log(
  `${learned.length} stories, ${tales.length} tales, ${heldOut.length} stories held out; ` +
    `${learned.filter((story) => subjectOf(story) !== undefined).length} stories have a subject`,
);

function clean(text: string): string {
  return text
    .replaceAll("\r", "")
    .replaceAll(/[“”]/g, '"')
    .replaceAll(/[‘’]/g, "'")
    .replaceAll(/[–—]/g, "-")
    .replaceAll("…", "...")
    .replaceAll(/[^\x20-\x7e\n]/g, "")
    .replaceAll(/ *\n\s*/g, "\n")
    .trim();
}

/** Stories of the lower-case file. Its documents are separated by single line ends, their paragraphs by empty lines. */
function restored(): string[] {
  const text = readFileSync(join(data, "text/tinystories/lowercase.txt"), "utf8");
  const names = casedWords(cased);
  return text
    .split(/(?<!\n)\n(?!\n)/)
    .map(clean)
    .filter((story) => story.length >= 100)
    .map((story) => withCapitals(story, names));
}

/** Words that stories mostly write with a capital where no sentence starts: names, "I", days. */
function casedWords(texts: readonly string[]): ReadonlySet<string> {
  const counts = new Map<string, { capital: number; small: number }>();
  for (const text of texts)
    for (const [, word] of text.matchAll(/[a-z,;] ([A-Za-z']+)/g)) {
      const count = counts.get(word.toLowerCase()) ?? { capital: 0, small: 0 };
      counts.set(word.toLowerCase(), count);
      if (/^[A-Z]/.test(word)) count.capital++;
      else count.small++;
    }
  return new Set([...counts].filter(([, { capital, small }]) => capital > small).map(([word]) => word));
}

function withCapitals(text: string, names: ReadonlySet<string>): string {
  return text
    .replaceAll(/[a-z']+/g, (word) => (names.has(word) ? capital(word) : word))
    .replaceAll(
      /(^|[.!?]["']?\s+|\s"|^")([a-z])/gm,
      (_, before: string, letter: string) => before + letter.toUpperCase(),
    );
}

function capital(word: string): string {
  return word[0].toUpperCase() + word.slice(1);
}

/** Enough of a story to know it again. */
function start(story: string): string {
  return story.slice(0, 100).toLowerCase();
}

/** What a story is about, as its first two sentences say: "a little car named Beep". */
function subjectOf(story: string): string | undefined {
  const opening = story
    .split(/(?<=[.!?])\s/)
    .slice(0, 2)
    .join(" ");
  const match =
    /\b(?:there (?:was|were|lived)|lived|[Oo]ne day,|met|saw|had|was) (an? (?:[a-z]+ ){1,4}(?:named|called) [A-Z][a-z]+)/.exec(
      opening,
    ) ??
    /\b(?:there (?:was|lived)|lived) (an? (?:[a-z]+ ){0,3}[a-z]+?)(?= (?:who|that|with|in|on|and|at)\b|[.,])/.exec(
      opening,
    ) ??
    /\b[Oo]ne day, (an? (?:[a-z]+ ){0,3}(?:named|called) [A-Z][a-z]+)/.exec(opening);
  return match?.[1];
}

function asChat(story: string, index: number): Chat {
  const subject = subjectOf(story);
  const sentences = story.split(/(?<=[.!?]"?)\s+/);
  // Every fourth story is one to go on with.
  if (index % 4 === 3 && sentences.length > 5) {
    const opening = sentences.slice(0, 1 + (index % 2)).join(" ");
    const ask = ["Continue this story: ", "How does this story go on? ", "Finish the story: "][index % 3];
    return chat(`${ask}${opening}`, story.slice(opening.length).trim());
  }
  if (subject === undefined)
    return chat(["Tell me a story.", "Please tell me a short story."][index % 2], story);
  const asks = [
    `Tell me a story about ${subject}.`,
    `Write a short story about ${subject}.`,
    `Can you tell me a story about ${subject}?`,
    `I want to hear a story about ${subject}.`,
    "Tell me a story.",
  ];
  return chat(asks[index % asks.length], story);
}

function chat(request: string, answer: string): Chat {
  return {
    messages: [
      { role: "user", content: request },
      { role: "assistant", content: answer },
    ],
  };
}

function readTales(path: string): Chat[] {
  return readFileSync(path, "utf8")
    .split("<end>")
    .flatMap((record) => {
      const [request, answer] = record.split("<start>").map(clean);
      // Tales that begin otherwise are often refusals, or no tales.
      if (!request || !answer || answer.length > longestTale || !answer.startsWith("Once upon a time"))
        return [];
      return [chat(request.replaceAll("`", '"').replaceAll("**", ""), answer.replaceAll("**", ""))];
    });
}

function writeLines(name: string, records: readonly unknown[]): void {
  writeFileSync(
    join(output as string, name),
    records.map((record) => `${JSON.stringify(record)}\n`).join(""),
  );
}

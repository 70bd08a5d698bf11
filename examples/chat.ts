/** Chats with a model: `node examples/chat.ts MODEL "question"`. MODEL is a path or a name such as hf:user/repo:Q4_0. */
import { load } from "../src/node.ts";

const [source, question = "What is the capital of France?"] = process.argv.slice(2);
if (!source) throw new Error('usage: node examples/chat.ts MODEL "question"');

using model = await load(source);
for await (const piece of model.chat([{ role: "user", content: question }], { maxTokens: 200 }))
  process.stdout.write(piece);
console.log();

/**
 * What a user may write where a model is wanted.
 *
 *   models/llama.gguf                       a path, whatever does not begin as below
 *   https://host/llama.gguf                 an address
 *   hf:user/repo                            a repository on the Hugging Face hub; the files are chosen
 *   hf:user/repo:Q4_K_M                     the quantization that its file names say
 *   hf:user/repo/folder/file.gguf           one file
 *   hf:…@revision or hf:…#revision          a branch, tag or commit; last; "main" when left out
 *
 * Flow: command line → parseModelName → platform/node/hub/resolve.ts.
 */
import { CriaError } from "../../shared/errors.ts";
import { hasCredentials } from "../http.ts";

/** A repository on the hub, and what is wanted of it. */
export interface HubName {
  readonly kind: "hub";
  /** `user/repo` */
  readonly repo: string;
  /** Path inside the repository. */
  readonly file?: string;
  readonly quantization?: string;
  readonly revision: string;
}

/** A model's name, taken apart. */
export type ModelName =
  | { readonly kind: "path"; readonly path: string }
  | { readonly kind: "url"; readonly url: string }
  | HubName;

const form = "hf:user/repo, hf:user/repo:QUANT or hf:user/repo/file.gguf, and @revision at the end if wanted";

/** Takes a name apart. @throws {CriaError} code "bad-input" */
export function parseModelName(text: string): ModelName {
  if (text.trim() === "") throw new CriaError("bad-input", "expected a model's name, got nothing");
  if (text.includes("\0")) throw new CriaError("bad-input", "a model's name holds a zero character");
  if (/^https?:/i.test(text)) {
    if (!URL.canParse(text)) throw new CriaError("bad-input", `${text}: not a web address`);
    if (hasCredentials(text))
      throw new CriaError("bad-input", "a web address holds a user name or a password; expected one without");
    return { kind: "url", url: text };
  }
  const match = /^(?:hf|huggingface):(?:\/\/)?(.*)$/s.exec(text);
  if (!match) return { kind: "path", path: text };
  const wrong = (what: string): CriaError => new CriaError("bad-input", `${text}: ${what}; expected ${form}`);

  const [address = "", revision = "main", ...more] = match[1]!.split(/[@#]/);
  if (more.length > 0) throw wrong("two revisions");
  if (revision.includes(":")) throw wrong("the revision comes last");
  if (!isSafePath(revision) || !/^[\w./+=-]+$/.test(revision)) throw wrong("not a revision");

  const [path = "", quantization, ...rest] = address.split(":");
  if (rest.length > 0) throw wrong("two colons");
  const [user = "", repo = "", ...folders] = path.split("/");
  if (!isHubWord(user) || !isHubWord(repo)) throw wrong("no repository");
  const name = { kind: "hub", repo: `${user}/${repo}`, revision } as const;
  if (folders.length === 0) {
    if (quantization === undefined) return name;
    if (!/^\w[\w.-]*$/.test(quantization)) throw wrong("not a quantization");
    return { ...name, quantization };
  }
  if (quantization !== undefined) throw wrong("a file and a quantization");
  const file = folders.join("/");
  if (!isSafePath(file)) throw wrong("not a file");
  return { ...name, file };
}

/**
 * Whether a path with "/" stays inside the folder it is joined to, on every system: file lists and revisions come from
 * outside, and a backslash or a drive letter would lead elsewhere on Windows.
 */
export function isSafePath(path: string): boolean {
  return !/[\\:\p{Cc}]/u.test(path) && path.split("/").every((part) => !/^(\.{0,2}|.*[. ])$/.test(part));
}

/** A user's or repository's name by the hub's rules; "--" separates them in the cache. */
function isHubWord(word: string): boolean {
  return /^[A-Za-z0-9_][\w.-]{0,95}$/.test(word) && !/--|\.\.|[.-]$/.test(word);
}

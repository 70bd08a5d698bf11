/**
 * A conversation as a tree: an edited question or another answer is a sibling, and the path that is shown takes one child
 * at each place.
 */

import type { RatedMessage } from "../../../src/feedback/rating.ts";
import { randomId } from "../../../src/shared/random-id.ts";

/** The likeliest tokens at one place of an answer. */
export interface TokenView {
  readonly text: string;
  /** From 0 to 1. */
  readonly probability: number;
  readonly alternatives: readonly { readonly text: string; readonly probability: number }[];
}

export interface Feedback {
  readonly liked: boolean;
  readonly reason: string;
  /** A better answer that the person wrote. */
  readonly better: string;
  /** Whether it may be kept for training. Without it, it is only shown here. */
  readonly consent: boolean;
}

/** What made an answer. */
export interface Origin {
  /** The model's name. */
  readonly model: string;
  readonly settings: Readonly<Record<string, number>>;
  /** The system prompt, which may have become another since. Absent in answers of earlier versions. */
  readonly system?: string;
}

export interface ChatNode {
  readonly id: string;
  readonly parent: string | undefined;
  readonly role: "user" | "assistant";
  readonly content: string;
  readonly tokens?: readonly TokenView[];
  readonly origin?: Origin;
  readonly feedback?: Feedback;
}

export interface Chat {
  readonly id: string;
  readonly title: string;
  readonly system: string;
  readonly changed: number;
  readonly nodes: readonly ChatNode[];
  /** The node at the end of the path that is shown. */
  readonly leaf: string | undefined;
}

export function newChat(): Chat {
  return {
    id: randomId(),
    title: "New chat",
    system: "",
    changed: Date.now(),
    nodes: [],
    leaf: undefined,
  };
}

/** From the first message to the leaf. */
export function pathOf(chat: Chat): ChatNode[] {
  const byId = new Map(chat.nodes.map((node) => [node.id, node]));
  const path: ChatNode[] = [];
  for (let node = byId.get(chat.leaf ?? ""); node; node = byId.get(node.parent ?? "")) path.unshift(node);
  return path;
}

/** The conversation that a node answers, with the system prompt that it was asked with. */
export function promptOf(chat: Chat, node: ChatNode): RatedMessage[] {
  const path = pathOf({ ...chat, leaf: node.parent }).map(({ role, content }) => ({ role, content }));
  const { system = chat.system } = node.origin ?? {};
  return system === "" ? path : [{ role: "system", content: system }, ...path];
}

export function siblingsOf(chat: Chat, node: ChatNode): ChatNode[] {
  return chat.nodes.filter(({ parent, role }) => parent === node.parent && role === node.role);
}

/** The chat with a node more, which its path now ends at. */
export function withNode(chat: Chat, node: ChatNode): Chat {
  const title = chat.nodes.length === 0 ? node.content.slice(0, 60) : chat.title;
  return { ...chat, title, changed: Date.now(), nodes: [...chat.nodes, node], leaf: node.id };
}

export function withChange(chat: Chat, id: string, change: Partial<ChatNode>): Chat {
  const nodes = chat.nodes.map((node) => (node.id === id ? { ...node, ...change } : node));
  return { ...chat, changed: Date.now(), nodes };
}

/** Shows the branch of a sibling, down to its newest end. */
export function showing(chat: Chat, id: string): Chat {
  let leaf = id;
  for (;;) {
    const children = chat.nodes.filter(({ parent }) => parent === leaf);
    const last = children.at(-1);
    if (!last) return { ...chat, leaf };
    leaf = last.id;
  }
}

/**
 * Chats from an exported file.
 *
 * @throws {Error} that says what is wrong with it
 */
export function chatsFrom(text: string): Chat[] {
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch {
    throw new Error("the file is not JSON; expected one that “Export chats” wrote");
  }
  if (!Array.isArray(data))
    throw new Error("the file has no list of chats; expected one that “Export chats” wrote");
  return data.map((value, index) => {
    const chat = chatFrom(value);
    if (!chat)
      throw new Error(`entry ${index + 1} of the file is no chat; expected one that “Export chats” wrote`);
    return chat;
  });
}

/** The chat without consent that was given elsewhere: what nobody agreed to here is not kept for training here. */
export function withoutConsent(chat: Chat, rated: ReadonlySet<string>): Chat {
  const nodes = chat.nodes.map((node) =>
    node.feedback?.consent && !rated.has(node.id)
      ? { ...node, feedback: { ...node.feedback, consent: false } }
      : node,
  );
  return { ...chat, nodes };
}

/** A chat that may come from any program, with nothing in it that cannot be shown; undefined for what is none. */
export function chatFrom(value: unknown): Chat | undefined {
  if (!isRecord(value)) return undefined;
  const { id, title, system, changed, nodes, leaf } = value;
  if (!isId(id) || typeof title !== "string" || typeof system !== "string") return undefined;
  if (typeof changed !== "number" || !Array.isArray(nodes)) return undefined;
  const known: ChatNode[] = [];
  const ids = new Set<string>();
  for (const one of nodes) {
    const node = nodeFrom(one);
    // A parent comes before its children, so that no path goes in a circle.
    if (!node || ids.has(node.id) || (node.parent !== undefined && !ids.has(node.parent))) return undefined;
    ids.add(node.id);
    known.push(node);
  }
  const end = typeof leaf === "string" && ids.has(leaf) ? leaf : undefined;
  // Stores keep whole milliseconds.
  const time = Math.min(Math.max(0, Math.round(changed)), Number.MAX_SAFE_INTEGER);
  return { id, title, system, changed: time, nodes: known, leaf: end };
}

function nodeFrom(value: unknown): ChatNode | undefined {
  if (!isRecord(value)) return undefined;
  const { id, parent, role, content, tokens, origin, feedback } = value;
  if (!isId(id) || typeof content !== "string") return undefined;
  if (role !== "user" && role !== "assistant") return undefined;
  if (parent !== undefined && parent !== null && typeof parent !== "string") return undefined;
  return {
    ...{ id, parent: parent ?? undefined, role, content },
    ...(Array.isArray(tokens) && tokens.every(isTokenView) ? { tokens } : {}),
    ...(isOrigin(origin) ? { origin } : {}),
    ...(isRecord(feedback) && typeof feedback.reason === "string" && typeof feedback.better === "string"
      ? { feedback: { consent: false, liked: false, ...feedback } as Feedback }
      : {}),
  };
}

/** As stores take them. An empty one would be its own parent. */
function isId(value: unknown): value is string {
  return typeof value === "string" && value !== "" && value.length <= 100;
}

function isTokenView(value: unknown): value is TokenView {
  return isChance(value) && Array.isArray(value.alternatives) && value.alternatives.every(isChance);
}

function isOrigin(value: unknown): value is Record<string, unknown> & Origin {
  if (!isRecord(value) || typeof value.model !== "string" || !isRecord(value.settings)) return false;
  return value.system === undefined || typeof value.system === "string";
}

function isChance(value: unknown): value is Record<string, unknown> {
  return isRecord(value) && typeof value.text === "string" && typeof value.probability === "number";
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * A conversation as a tree: an edited question or another answer is a sibling, and the path that is shown takes one child
 * at each place.
 */

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
}

export interface ChatNode {
  readonly id: string;
  readonly parent: string | undefined;
  readonly role: "user" | "assistant";
  readonly content: string;
  readonly tokens?: readonly TokenView[];
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
    id: crypto.randomUUID(),
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

/** One message: its text as markdown, its branches, feedback, and its tokens with their probabilities. */
import { Component, memo, useEffect, useRef, useState } from "react";
import Markdown, { type Options } from "react-markdown";
import rehypeHighlight from "rehype-highlight";
import remarkGfm from "remark-gfm";
import { copy } from "./copy.ts";
import { CONSENT } from "./ratings.ts";
import type { ChatNode, Feedback, TokenView } from "./tree.ts";

/** A single tilde is no deletion: models write ranges with it. */
const plugins: NonNullable<Options["remarkPlugins"]> = [[remarkGfm, { singleTilde: false }]];

/** Only for what is finished: an answer that grows would be read anew with every token. */
const highlighting: NonNullable<Options["rehypePlugins"]> = [[rehypeHighlight, { detect: false }]];

interface Props {
  readonly node: ChatNode;
  readonly siblings: readonly ChatNode[];
  readonly busy: boolean;
  /** No answer is being made anywhere. */
  readonly idle: boolean;
  readonly actions: MessageActions;
}

export interface MessageActions {
  onShow(id: string): void;
  /** False when it cannot be sent now. */
  onEdit(node: ChatNode, content: string): boolean;
  onRegenerate(node: ChatNode): void;
  onFeedback(node: ChatNode, feedback: Feedback): void;
}

function isSame(one: Props, other: Props): boolean {
  return (
    one.node === other.node &&
    one.busy === other.busy &&
    one.idle === other.idle &&
    one.actions === other.actions &&
    one.siblings.length === other.siblings.length &&
    one.siblings.every(({ id }, index) => id === other.siblings[index].id)
  );
}

export const Message = memo(function Message(props: Props) {
  const { node, siblings, busy, idle, actions } = props;
  const [editing, setEditing] = useState<string>();
  const [showsTokens, setShowsTokens] = useState(false);
  const own = node.role === "user";
  const edit = useRef<HTMLButtonElement>(null);
  const wasEditing = useRef(false);
  useEffect(() => {
    // Back to where it was, unless it was sent.
    if (wasEditing.current && editing === undefined) edit.current?.focus();
    wasEditing.current = editing !== undefined;
  }, [editing]);
  return (
    <article className={`message ${node.role}`} aria-label={own ? "You" : "Model"}>
      {editing !== undefined ? (
        <form
          className="editor"
          onSubmit={(event) => {
            event.preventDefault();
            // What cannot be sent yet stays to be sent later.
            if (!actions.onEdit(node, editing)) return;
            wasEditing.current = false;
            setEditing(undefined);
          }}
          onKeyDown={(event) => {
            if (event.key !== "Escape" || event.nativeEvent.isComposing) return;
            event.preventDefault();
            setEditing(undefined);
          }}
        >
          <textarea
            ref={focusOnce}
            dir="auto"
            aria-label="Edit the message"
            value={editing}
            onChange={(event) => setEditing(event.target.value)}
          />
          <div className="row">
            <button type="submit" className="primary" disabled={editing.trim() === ""}>
              Send
            </button>
            <button type="button" onClick={() => setEditing(undefined)}>
              Cancel
            </button>
          </div>
        </form>
      ) : showsTokens && node.tokens ? (
        <Tokens tokens={node.tokens} />
      ) : own ? (
        <p className="text">{node.content}</p>
      ) : (
        <div className="text">
          {node.content === "" && busy ? (
            <span className="waiting">…</span>
          ) : (
            <Formatted text={node.content}>
              <Markdown
                remarkPlugins={plugins}
                rehypePlugins={busy ? [] : highlighting}
                components={components}
              >
                {node.content}
              </Markdown>
            </Formatted>
          )}
        </div>
      )}
      {editing === undefined && !(busy && !own) ? (
        <div className="tools">
          {siblings.length > 1 ? <Branches {...props} /> : null}
          {own ? (
            <button ref={edit} type="button" onClick={() => setEditing(node.content)}>
              Edit
            </button>
          ) : (
            <>
              <button type="button" onClick={() => void copy(node.content)}>
                Copy
              </button>
              <button type="button" onClick={() => actions.onRegenerate(node)} disabled={!idle}>
                Again
              </button>
              {node.tokens && node.tokens.length > 0 ? (
                <button type="button" aria-pressed={showsTokens} onClick={() => setShowsTokens(!showsTokens)}>
                  Tokens
                </button>
              ) : null}
              <Thumbs node={node} onFeedback={(feedback) => actions.onFeedback(node, feedback)} />
            </>
          )}
        </div>
      ) : null}
    </article>
  );
}, isSame);

/** With the cursor at its end. */
function focusOnce(area: HTMLTextAreaElement | null): void {
  if (!area || area.dataset.focused) return;
  area.dataset.focused = "yes";
  area.focus();
  area.setSelectionRange(area.value.length, area.value.length);
}

interface FormattedProps {
  readonly text: string;
  readonly children: React.ReactNode;
}

/** A text that cannot be drawn as markdown, such as 3,000 quotes in each other, is shown as it is. */
class Formatted extends Component<FormattedProps, { readonly failed: boolean }> {
  override state = { failed: false };
  static getDerivedStateFromError = () => ({ failed: true });
  override render() {
    return this.state.failed ? <p className="plain">{this.props.text}</p> : this.props.children;
  }
}

/** What has its marks at one side has them where its text begins. */
function directed(Tag: "ul" | "ol" | "blockquote") {
  return ({ node: _, ...rest }: { readonly node?: unknown }) => <Tag dir="auto" {...rest} />;
}

/** Headings are below the page's own; what a model wrote asks for no address by itself and leads nobody away from the chat. */
const components: Options["components"] = {
  ...{ h1: "h2", h2: "h3", h3: "h4", h4: "h5", h5: "h6" },
  ...{ ul: directed("ul"), ol: directed("ol"), blockquote: directed("blockquote") },
  pre: Code,
  table: ({ node: _, ...rest }) => (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: wide tables are scrolled with the keyboard
    <div className="wide" tabIndex={0}>
      <table dir="auto" {...rest} />
    </div>
  ),
  a: ({ href = "", children, node: _, ...rest }) =>
    href === "" ? (
      <span>{children}</span>
    ) : href.startsWith("#") ? (
      <a href={href} {...rest}>
        {children}
      </a>
    ) : (
      <a href={href} target="_blank" rel="noopener noreferrer">
        {children}
      </a>
    ),
  img: ({ src, alt }) =>
    src ? (
      <a href={String(src)} target="_blank" rel="noopener noreferrer">
        {alt || "image"}
      </a>
    ) : (
      <span>{alt}</span>
    ),
  input: ({ node: _, ...rest }) => <input {...rest} aria-label={rest.checked ? "done" : "to do"} />,
};

function Branches({ node, siblings, actions }: Props) {
  const index = siblings.findIndex(({ id }) => id === node.id);
  const step = (by: number) => () => actions.onShow(siblings[index + by].id);
  return (
    <span className="branches">
      <button type="button" aria-label="Previous version" disabled={index === 0} onClick={step(-1)}>
        ‹
      </button>
      {index + 1} of {siblings.length}
      <button
        type="button"
        aria-label="Next version"
        disabled={index === siblings.length - 1}
        onClick={step(1)}
      >
        ›
      </button>
    </span>
  );
}

interface ThumbsProps {
  readonly node: ChatNode;
  readonly onFeedback: (feedback: Feedback) => void;
}

function Thumbs({ node, onFeedback }: ThumbsProps) {
  const chosen = useRef<HTMLButtonElement>(null);
  const { feedback } = node;
  const [open, setOpen] = useState(false);
  const give = (liked: boolean) => () => {
    onFeedback({ reason: "", better: "", consent: false, ...feedback, liked });
    setOpen(true);
  };
  return (
    <>
      <button
        type="button"
        ref={feedback?.liked === true ? chosen : undefined}
        aria-label="Good answer"
        aria-pressed={feedback?.liked === true}
        onClick={give(true)}
      >
        Good
      </button>
      <button
        type="button"
        ref={feedback?.liked === false ? chosen : undefined}
        aria-label="Bad answer"
        aria-pressed={feedback?.liked === false}
        onClick={give(false)}
      >
        Bad
      </button>
      {open && feedback ? (
        <FeedbackForm
          feedback={feedback}
          onSave={(changed) => {
            onFeedback(changed);
            setOpen(false);
            chosen.current?.focus();
          }}
        />
      ) : null}
    </>
  );
}

interface FeedbackFormProps {
  readonly feedback: Feedback;
  readonly onSave: (feedback: Feedback) => void;
}

function FeedbackForm({ feedback, onSave }: FeedbackFormProps) {
  const [reason, setReason] = useState(feedback.reason);
  const [better, setBetter] = useState(feedback.better);
  const [consent, setConsent] = useState(feedback.consent);
  return (
    <form
      className="feedback"
      onSubmit={(event) => {
        event.preventDefault();
        onSave({ liked: feedback.liked, reason, better, consent });
      }}
    >
      <label>
        {feedback.liked ? "What is good about it?" : "What is wrong with it?"}
        <input value={reason} onChange={(event) => setReason(event.target.value)} />
      </label>
      <label>
        A better answer
        <textarea value={better} onChange={(event) => setBetter(event.target.value)} />
      </label>
      <label className="check">
        <input type="checkbox" checked={consent} onChange={(event) => setConsent(event.target.checked)} />
        {CONSENT}
      </label>
      <div className="row">
        <button type="submit" className="primary">
          Save
        </button>
        <span className="hint">It goes nowhere by itself: “Export preferences” writes it to a file.</span>
      </div>
    </form>
  );
}

function Code({ children }: { readonly children?: React.ReactNode }) {
  const [copied, setCopied] = useState(false);
  return (
    <div className="code">
      <button
        type="button"
        onClick={(event) => {
          void copy(event.currentTarget.parentElement?.querySelector("code")?.textContent ?? "");
          setCopied(true);
        }}
      >
        {copied ? "Copied" : "Copy"}
      </button>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: long lines are scrolled with the keyboard */}
      <pre tabIndex={0}>{children}</pre>
    </div>
  );
}

/** Five steps from unlikely to certain. */
function levelOf(probability: number): number {
  return probability >= 0.9
    ? 4
    : probability >= 0.6
      ? 3
      : probability >= 0.3
        ? 2
        : probability >= 0.1
          ? 1
          : 0;
}

function Tokens({ tokens }: { readonly tokens: readonly TokenView[] }) {
  const [chosen, setChosen] = useState<number>();
  const token = chosen === undefined ? undefined : tokens[chosen];
  return (
    <div>
      <p className="tokens">
        {tokens.map((one, index) => (
          <button
            type="button"
            // biome-ignore lint/suspicious/noArrayIndexKey: tokens of a finished answer never move
            key={index}
            className={`token level-${levelOf(one.probability)}`}
            aria-label={one.text.trim() === "" ? JSON.stringify(one.text) : undefined}
            aria-pressed={index === chosen}
            onClick={() => setChosen(index === chosen ? undefined : index)}
          >
            {one.text.replaceAll("\n", "↵")}
          </button>
        ))}
      </p>
      {token ? (
        <table className="alternatives">
          <caption>
            {JSON.stringify(token.text)}: {(100 * token.probability).toFixed(1)} %
          </caption>
          <tbody>
            {token.alternatives.map(({ text, probability }, index) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: parts of characters look the same
              <tr key={index}>
                <td>{JSON.stringify(text)}</td>
                <td>{(100 * probability).toFixed(1)} %</td>
                <td>
                  <meter min={0} max={1} value={probability} aria-label={`probability of ${text}`} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      ) : (
        <p className="hint">Each token's shade is its probability; choose one to see what else was likely.</p>
      )}
    </div>
  );
}

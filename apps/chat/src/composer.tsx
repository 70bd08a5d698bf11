/** Where a message is written: Enter sends it, Shift+Enter begins a line. */
import { useState } from "react";

interface Props {
  readonly area: React.RefObject<HTMLTextAreaElement | null>;
  readonly ready: boolean;
  readonly onSend: (text: string) => void;
  /** There while an answer is made. */
  readonly onStop: (() => void) | undefined;
}

/** Whether the key chose what an input method proposes. Safari ends the composing before it tells of the key, as number 229. */
function isComposing(event: KeyboardEvent): boolean {
  return event.isComposing || event.keyCode === 229;
}

export function Composer({ area, ready, onSend, onStop }: Props) {
  const [draft, setDraft] = useState("");
  return (
    <form
      className="composer"
      onSubmit={(event) => {
        event.preventDefault();
        // What cannot be sent yet stays to be sent later.
        if (!ready || onStop) return;
        onSend(draft);
        setDraft("");
        area.current?.focus();
      }}
    >
      <textarea
        ref={area}
        dir="auto"
        aria-label="Message"
        placeholder={ready ? "Write a message" : "Load a model in the settings first"}
        value={draft}
        rows={Math.min(8, draft.split("\n").length)}
        onChange={(event) => setDraft(event.target.value)}
        onKeyDown={(event) => {
          if (event.key !== "Enter" || event.shiftKey || isComposing(event.nativeEvent)) return;
          event.preventDefault();
          event.currentTarget.form?.requestSubmit();
        }}
      />
      {onStop ? (
        <button
          type="button"
          onClick={({ detail }) => {
            // The second half of a double click on “Send”.
            if (detail === 2) return;
            onStop();
            area.current?.focus();
          }}
        >
          Stop
        </button>
      ) : (
        <button type="submit" className="primary" disabled={!ready || draft.trim() === ""}>
          Send
        </button>
      )}
    </form>
  );
}

import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { yaml } from "@codemirror/lang-yaml";
import { bracketMatching, HighlightStyle, indentOnInput, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { lintGutter, setDiagnostics } from "@codemirror/lint";
import { highlightSelectionMatches, search, searchKeymap } from "@codemirror/search";
import { Compartment, EditorState, type Extension, Transaction } from "@codemirror/state";
import {
  drawSelection,
  EditorView,
  highlightActiveLine,
  highlightActiveLineGutter,
  highlightSpecialChars,
  keymap,
  lineNumbers,
} from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { type ReactNode, useEffect, useRef } from "react";

const look = EditorView.theme({
  "&": {
    minHeight: "max(420px, calc(100vh - 260px))",
    maxHeight: "calc(100vh - 120px)",
    fontSize: "0.8125rem",
    color: "var(--ink)",
  },
  "&.cm-focused": { outline: "2px solid var(--accent)", outlineOffset: "-2px" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.55", minHeight: "max(420px, calc(100vh - 260px))" },
  ".cm-content": { padding: "8px 0", caretColor: "var(--ink)" },
  ".cm-line": { padding: "0 12px 0 8px" },
  ".cm-cursor": { borderLeftColor: "var(--ink)" },
  ".cm-gutters": { backgroundColor: "transparent", color: "var(--code-note)", border: "0" },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "color-mix(in srgb, var(--sunken) 70%, transparent)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": {
    backgroundColor: "color-mix(in srgb, var(--accent) 25%, transparent) !important",
  },
  ".cm-selectionMatch, .cm-searchMatch": { backgroundColor: "var(--warn-soft)" },
  ".cm-panels": { backgroundColor: "var(--sunken)", color: "var(--ink)", borderColor: "var(--line)" },
  ".cm-panel input, .cm-panel button": {
    color: "var(--ink)",
    backgroundColor: "var(--surface)",
    backgroundImage: "none",
  },
  ".cm-tooltip": { backgroundColor: "var(--surface)", color: "var(--ink)", border: "1px solid var(--line-strong)" },
  ".cm-diagnostic-error": { borderLeftColor: "var(--bad)" },
});

const colours = HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: "var(--code-key)" },
  { tag: [tags.string, tags.special(tags.string), tags.attributeValue], color: "var(--code-text)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--code-number)" },
  { tag: [tags.comment, tags.meta, tags.punctuation, tags.separator], color: "var(--code-note)" },
  { tag: tags.invalid, color: "var(--bad)" },
]);

export interface EditorProps {
  text: string;
  readOnly: boolean;
  /** What is wrong, and on which line (from 1). */
  fault?: { line: number; message: string } | undefined;
  onText: (text: string) => void;
  onSave: () => void;
}

/** A YAML editor. The text belongs to the caller; typing tells it through `onText`, Ctrl-S through `onSave`. */
export default function Editor({ text, readOnly, fault, onText, onSave }: EditorProps): ReactNode {
  const frame = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>(undefined);
  const lock = useRef(new Compartment());
  const told = useRef({ onText, onSave });
  told.current = { onText, onSave };
  const first = useRef({ text, readOnly });

  useEffect(() => {
    if (!frame.current) return;
    const save = () => {
      told.current.onSave();
      return true;
    };
    // In a shadow root CodeMirror's styles are constructed sheets; in the page they would be inline, which the policy refuses.
    const root = frame.current.shadowRoot ?? frame.current.attachShadow({ mode: "open" });
    const made = new EditorView({
      parent: root,
      root,
      state: EditorState.create({
        doc: first.current.text,
        extensions: [
          keymap.of([{ key: "Mod-s", run: save, preventDefault: true }]),
          lineNumbers(),
          highlightSpecialChars(),
          EditorView.lineWrapping,
          history(),
          drawSelection(),
          indentOnInput(),
          indentUnit.of("  "),
          bracketMatching(),
          highlightActiveLine(),
          highlightActiveLineGutter(),
          highlightSelectionMatches(),
          search({ top: true }),
          lintGutter(),
          yaml(),
          look,
          syntaxHighlighting(colours),
          lock.current.of(locked(first.current.readOnly)),
          keymap.of([...searchKeymap, ...historyKeymap, ...defaultKeymap]),
          EditorView.contentAttributes.of({ "aria-label": "YAML" }),
          EditorView.domEventHandlers({ beforeinput: typeOver }),
          EditorView.updateListener.of((update) => {
            if (update.docChanged && update.transactions.some((each) => each.annotation(Transaction.userEvent)))
              told.current.onText(update.state.doc.toString());
          }),
        ],
      }),
    });
    view.current = made;
    return () => {
      view.current = undefined;
      made.destroy();
    };
  }, []);

  useEffect(() => {
    const now = view.current;
    if (now && now.state.doc.toString() !== text)
      now.dispatch({ changes: { from: 0, to: now.state.doc.length, insert: text } });
  }, [text]);

  useEffect(() => {
    view.current?.dispatch({ effects: lock.current.reconfigure(locked(readOnly)) });
  }, [readOnly]);

  useEffect(() => {
    const now = view.current;
    if (!now) return;
    if (!fault || fault.line > now.state.doc.lines) {
      now.dispatch(setDiagnostics(now.state, []));
      return;
    }
    const line = now.state.doc.line(fault.line);
    const from = line.from + (/^\s*/.exec(line.text)?.[0].length ?? 0);
    now.dispatch(setDiagnostics(now.state, [{ from, to: line.to, severity: "error", message: fault.message }]));
    now.dispatch({ effects: EditorView.scrollIntoView(line.from, { y: "center" }) });
  }, [fault]);

  return <div className="editor" ref={frame} />;
}

/** Type over a selection ourselves: the browser would keep its colours as an inline style, which the policy refuses. */
function typeOver(event: InputEvent, view: EditorView): boolean {
  if (event.inputType !== "insertText" || event.data === null || view.composing) return false;
  if (view.state.readOnly || view.state.selection.main.empty) return false;
  view.dispatch(view.state.replaceSelection(event.data), { userEvent: "input.type", scrollIntoView: true });
  return true;
}

function locked(readOnly: boolean): Extension {
  // Read-only text stays focusable, so that it can be read, searched and scrolled by keyboard. Tab leaves it.
  return [EditorState.readOnly.of(readOnly), readOnly ? [] : keymap.of([indentWithTab])];
}

import { Button } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { lazy, type ReactNode, Suspense, useCallback, useEffect, useMemo, useState } from "react";
import { Link, useLocation } from "wouter";
import { api, type Definition, type Saved, type Shelf } from "../api";
import { drafts } from "../drafts";
import { useMay } from "../may";
import { Empty, Facts, Page } from "../parts/Page";
import { Person } from "../parts/Person";
import { Trouble } from "../parts/Trouble";
import { When } from "../parts/When";
import { lineOf } from "../place";
import { asProblem } from "../problem";
import { isShelf, SHELVES } from "../shelves";
import { DeleteButton, TestButton } from "./DefinitionActs";
import { LastRuns, Versions } from "./DefinitionSide";
import { DetectButton } from "./Detect";
import { RunButton } from "./RunButton";

const Editor = lazy(() => import("../Editor"));

/** The unsaved text under `key`; it stays while the page lives. */
function useDraft(key: string): [string | undefined, (text: string | undefined) => void] {
  const [text, setText] = useState(() => drafts.read(key));
  const keep = useCallback(
    (fresh: string | undefined) => {
      drafts.keep(key, fresh);
      setText(fresh);
    },
    [key],
  );
  useEffect(() => {
    if (text === undefined) return;
    const warn = (event: BeforeUnloadEvent) => event.preventDefault();
    window.addEventListener("beforeunload", warn);
    return () => window.removeEventListener("beforeunload", warn);
  }, [text]);
  return [text, keep];
}

function savedWords(items: readonly Saved[]): string {
  const changed = items.filter((item) => item.changed);
  if (changed.length === 0) return "Nothing has changed: this is what was saved already.";
  const saved = `Saved ${changed.map((item) => `${item.kind} ${item.name} as version ${item.version}`).join(", ")}.`;
  const cleared = changed.flatMap((item) => item.cleared ?? []);
  if (cleared.length === 0) return saved;
  return `${saved} The connection leads elsewhere now, so its secret was cleared: set ${cleared.join(", ")} again.`;
}

/** Saving and checking a text, with what came of it. */
function useSaving(onSaved: (items: Saved[]) => void) {
  const cache = useQueryClient();
  const check = useMutation({ mutationFn: (sent: string) => api.validate(sent) });
  const save = useMutation({
    mutationFn: (sent: string) => api.save(sent),
    onMutate: () => check.reset(),
    onSuccess: (items) => {
      for (const shelf of Object.keys(SHELVES)) void cache.invalidateQueries({ queryKey: [shelf] });
      onSaved(items);
    },
  });
  const failed = save.error ? save : check;
  const fault = failed.error;
  const sent = failed.variables;
  // The line is looked for in the text that was sent: typing on must not move the mark to another line.
  const mark = useMemo(() => {
    if (!fault || sent === undefined) return undefined;
    const problem = asProblem(fault);
    const line = lineOf(problem, sent);
    return line ? { line, message: problem.message } : undefined;
  }, [fault, sent]);
  const said = save.data ? savedWords(save.data) : check.isSuccess ? "The text is valid. It is not saved yet." : "";
  const reset = () => {
    save.reset();
    check.reset();
  };
  return { save, check, fault, mark, said, reset };
}

interface DeskShown {
  text: string;
  readOnly: boolean;
  saving: ReturnType<typeof useSaving>;
  onText: (text: string) => void;
}

/** The editor with what the server said about the text. */
function Desk({ text, readOnly, saving, onText }: DeskShown): ReactNode {
  const { save, check, fault, mark, said } = saving;
  return (
    <div className="stack">
      {fault ? (
        <Trouble
          fault={fault}
          what={save.error ? "Not saved" : "Not valid"}
          action={mark ? <span>line {mark.line} is marked</span> : null}
        />
      ) : null}
      {said && !fault ? (
        <p className="banner good" role="status">
          {said}
        </p>
      ) : null}
      <Suspense fallback={<pre className="editor editor-wait">{text}</pre>}>
        <Editor text={text} readOnly={readOnly} fault={mark} onText={onText} onSave={() => save.mutate(text)} />
      </Suspense>
      {readOnly ? null : (
        <div className="tools">
          <button type="button" className="link" disabled={check.isPending} onClick={() => check.mutate(text)}>
            Check without saving
          </button>
          <span className="dim">Ctrl-S saves. Esc, then Tab leaves the editor.</span>
        </div>
      )}
    </div>
  );
}

/** One definition: its text, its versions and, for a flow, its runs. */
export function DefinitionPage({ shelf, name }: { shelf: Shelf; name: string }): ReactNode {
  const [shown, setShown] = useState<number | undefined>();
  const current = useQuery({ queryKey: [shelf, name], queryFn: () => api.definition(shelf, name) });
  const older = useQuery({
    queryKey: [shelf, name, shown],
    queryFn: () => api.definition(shelf, name, shown),
    enabled: shown !== undefined,
    staleTime: Number.POSITIVE_INFINITY,
  });
  const back = <Link href={`/${shelf}`}>{SHELVES[shelf].title}</Link>;
  const fault = current.error ?? (shown === undefined ? null : older.error);
  if (fault)
    return (
      <Page title={name} back={back}>
        <Trouble fault={fault} />
      </Page>
    );
  if (!current.data)
    return (
      <Page title={name} back={back}>
        <output className="waiting">Reading…</output>
      </Page>
    );
  return (
    <Opened
      shelf={shelf}
      current={current.data}
      older={shown === undefined ? undefined : older.data}
      onShow={setShown}
    />
  );
}

interface OpenedShown {
  shelf: Shelf;
  current: Definition;
  older: Definition | undefined;
  onShow: (version: number | undefined) => void;
}

function Opened({ shelf, current, older, onShow }: OpenedShown): ReactNode {
  const mayWrite = useMay("definition:write");
  const mayRun = useMay("run:control");
  const mayTest = useMay("data:read");
  const [draft, setDraft] = useDraft(`${shelf}/${current.name}`);
  const text = older?.source ?? draft ?? current.source;
  const saving = useSaving(() => setDraft(undefined));
  const dirty = draft !== undefined && draft !== current.source;
  const onText = (fresh: string) => {
    saving.reset();
    setDraft(fresh === current.source ? undefined : fresh);
  };
  const shown = older ?? current;
  return (
    <Page
      title={current.name}
      back={<Link href={`/${shelf}`}>{SHELVES[shelf].title}</Link>}
      beside={dirty && !older ? <span className="dim">unsaved changes</span> : null}
      actions={
        <>
          {mayWrite && !older ? <DeleteButton shelf={shelf} name={current.name} /> : null}
          {mayWrite && dirty && !older ? (
            <Button variant="default" onClick={() => setDraft(undefined)}>
              Discard
            </Button>
          ) : null}
          {mayWrite && !older ? (
            <Button
              variant={shelf === "flows" && !dirty ? "default" : "filled"}
              disabled={!dirty}
              loading={saving.save.isPending}
              onClick={() => saving.save.mutate(text)}
            >
              Save
            </Button>
          ) : null}
          {shelf === "connections" && mayTest ? <DetectButton name={current.name} /> : null}
          {shelf === "connections" && mayTest ? <TestButton name={current.name} /> : null}
          {shelf === "flows" && mayRun ? <RunButton flow={current} unsaved={dirty} /> : null}
        </>
      }
    >
      <Facts
        items={[
          ["Version", shown.version],
          ["Author", <Person key="author" id={shown.author} />],
          ["Changed", <When key="changed" at={shown.created} />],
          [
            "Digest",
            <code key="digest" title={shown.digest}>
              {shown.digest.slice(0, 12)}
            </code>,
          ],
        ]}
      />
      {older ? (
        <div className="banner" role="status">
          <span>
            This is version {older.version}. Version {current.version} is in force.
          </span>
          <span className="page-actions">
            {mayWrite ? (
              <button
                type="button"
                className="link"
                onClick={() => {
                  setDraft(older.source === current.source ? undefined : older.source);
                  onShow(undefined);
                }}
              >
                Edit from this version
              </button>
            ) : null}
            <button type="button" className="link" onClick={() => onShow(undefined)}>
              Back to version {current.version}
            </button>
          </span>
        </div>
      ) : null}
      <div className="split">
        <Desk text={text} readOnly={!mayWrite || older !== undefined} saving={saving} onText={onText} />
        <div className="stack">
          {shelf === "flows" ? <LastRuns flow={current.name} /> : null}
          <Versions shelf={shelf} name={current.name} current={current.version} shown={shown.version} onShow={onShow} />
        </div>
      </div>
    </Page>
  );
}

/** A new definition, started from a short sketch. */
export function NewDefinition({ shelf }: { shelf: string }): ReactNode {
  if (!isShelf(shelf))
    return (
      <Page title="Nothing is here">
        <Empty title={`There is no kind of definition called “${shelf}”.`} />
      </Page>
    );
  return <Sketch shelf={shelf} />;
}

function Sketch({ shelf }: { shelf: Shelf }): ReactNode {
  const { title, one, sketch } = SHELVES[shelf];
  const [, go] = useLocation();
  const [draft, setDraft] = useDraft(`new/${shelf}`);
  const text = draft ?? sketch;
  const saving = useSaving((items) => {
    setDraft(undefined);
    const own = items.find((item) => `${item.kind}s` === shelf);
    go(own ? `/${shelf}/${encodeURIComponent(own.name)}` : `/${shelf}`);
  });
  return (
    <Page
      title={`New ${one}`}
      back={<Link href={`/${shelf}`}>{title}</Link>}
      actions={
        <Button loading={saving.save.isPending} onClick={() => saving.save.mutate(text)}>
          Save
        </Button>
      }
    >
      <Desk
        text={text}
        readOnly={false}
        saving={saving}
        onText={(fresh) => {
          saving.reset();
          setDraft(fresh === sketch ? undefined : fresh);
        }}
      />
    </Page>
  );
}

import { Button, NativeSelect, Textarea, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { api } from "../api";
import { Page } from "../parts/Page";
import { Trouble } from "../parts/Trouble";
import { boundsOf, choicesOf, fieldOf, meaningOf, policyOf, type Setting, wordsOf } from "../policy";

const KEY = ["policy"];

/** What the tenant asks of its people, within what the installation allows. */
export function Policy(): ReactNode {
  const query = useQuery({ queryKey: KEY, queryFn: api.policy, refetchOnWindowFocus: false });
  const [saved, setSaved] = useState(false);
  return (
    <Page title="Policy">
      {query.isPending ? <output className="waiting">Reading…</output> : null}
      {query.error ? <Trouble fault={query.error} /> : null}
      {query.data ? (
        <Fields
          key={query.dataUpdatedAt}
          settings={query.data.items}
          revision={query.data.revision}
          saved={saved}
          onTouched={() => setSaved(false)}
          onSaved={() => setSaved(true)}
        />
      ) : null}
    </Page>
  );
}

interface Shown {
  settings: readonly Setting[];
  revision: string;
  saved: boolean;
  onTouched: () => void;
  onSaved: () => void;
}

function Fields({ settings, revision, saved, onTouched, onSaved }: Shown): ReactNode {
  const before = Object.fromEntries(settings.map((each) => [each.name, fieldOf(each)]));
  const [fields, setFields] = useState<Readonly<Record<string, string>>>(before);
  const cache = useQueryClient();
  const save = useMutation({
    mutationFn: () => api.setPolicy({ ...policyOf(settings, fields), revision }),
    onSuccess: (told) => {
      onSaved();
      cache.setQueryData(KEY, told);
    },
  });
  const changed = settings.some(({ name }) => (fields[name] ?? "").trim() !== before[name]);
  const set = (name: string, value: string) => {
    onTouched();
    setFields((all) => ({ ...all, [name]: value }));
  };
  return (
    <form
      className="policy"
      aria-label="Policy"
      autoComplete="off"
      onSubmit={(event) => {
        event.preventDefault();
        save.mutate();
      }}
    >
      {settings.map((each) => (
        <Field
          key={each.name}
          setting={each}
          value={fields[each.name] ?? ""}
          onValue={(text) => set(each.name, text)}
        />
      ))}
      {save.error ? <Trouble fault={save.error} what="Not saved" /> : null}
      <div className="policy-foot">
        <p className={saved ? "good" : "dim"} role="status">
          {saved
            ? "Saved. It holds now: everybody’s access token was renewed."
            : "It holds at once, for everybody in the tenant."}
        </p>
        <Button variant="default" disabled={!changed} onClick={() => setFields(before)}>
          Undo
        </Button>
        <Button type="submit" loading={save.isPending} disabled={!changed}>
          Save policy
        </Button>
      </div>
    </form>
  );
}

function Field({
  setting,
  value,
  onValue,
}: {
  setting: Setting;
  value: string;
  onValue: (text: string) => void;
}): ReactNode {
  const { name, installation, may } = setting;
  const { title, note, example } = meaningOf(name);
  const common = { label: title, description: note, name, value };
  const base = `As the installation has it: ${wordsOf(installation, name)}`;
  const choices = choicesOf(setting);
  // A yes that the installation says cannot be made stricter.
  if (may === "fixed" || (typeof installation === "boolean" && choices.length === 1))
    return (
      <div className="setting">
        <p className="setting-title">{title}</p>
        <p className="setting-note">{note}</p>
        <p>
          <strong>{wordsOf(setting.value, name)}</strong> <span className="dim">· the installation says so</span>
        </p>
      </div>
    );
  if (typeof installation === "boolean")
    return (
      <NativeSelect
        className="setting"
        {...common}
        data={choices}
        onChange={(event) => onValue(event.currentTarget.value)}
      />
    );
  if (Array.isArray(installation))
    return (
      <Textarea
        className="setting"
        {...common}
        rows={3}
        spellCheck={false}
        placeholder={installation.length > 0 ? base : (example ?? "")}
        onChange={(event) => onValue(event.currentTarget.value)}
      />
    );
  const number = typeof installation === "number";
  return (
    <TextInput
      className="setting"
      {...common}
      placeholder={base}
      spellCheck={false}
      {...(number ? { type: "number", inputMode: "numeric" as const, step: 1, ...boundsOf(setting) } : {})}
      onChange={(event) => onValue(event.currentTarget.value)}
    />
  );
}

import { Button, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { api } from "../api";
import { Trouble } from "../parts/Trouble";
import { When } from "../parts/When";
import { session } from "../session";
import { Door } from "./Door";

/** One's second factors: because the tenant asks for one (`forced`), or because one wants to (`onDone` leads back). */
export function Factors({ forced = false, onDone }: { forced?: boolean; onDone?: () => void }): ReactNode {
  const [codes, setCodes] = useState<string[]>([]);
  const [adding, setAdding] = useState(forced);
  if (codes.length > 0)
    return (
      <Codes
        codes={codes}
        onKept={() => {
          setCodes([]);
          setAdding(false);
          if (forced) void session.settle();
        }}
      />
    );
  if (adding)
    return (
      <Add
        forced={forced}
        onAdded={(fresh) => {
          if (fresh.length > 0) setCodes(fresh);
          else if (forced) void session.settle();
          else setAdding(false);
        }}
        onBack={() => (forced ? void session.logout().catch(() => undefined) : setAdding(false))}
      />
    );
  return <Mine onAdd={() => setAdding(true)} onCodes={setCodes} {...(onDone ? { onDone } : {})} />;
}

function Mine(shown: { onAdd: () => void; onCodes: (codes: string[]) => void; onDone?: () => void }): ReactNode {
  const client = useQueryClient();
  const found = useQuery({ queryKey: ["factors"], queryFn: api.factors });
  const renew = useMutation({ mutationFn: api.renewCodes, onSuccess: ({ codes }) => shown.onCodes(codes) });
  const remove = useMutation({
    mutationFn: api.removeFactor,
    onSuccess: () => client.invalidateQueries({ queryKey: ["factors"] }),
  });
  const items = found.data?.items ?? [];
  return (
    <Door title="Second factor">
      {found.error ? <Trouble fault={found.error} /> : null}
      {items.length > 0 ? (
        <ul className="plain-list">
          {items.map((each) => (
            <li key={each.id}>
              {each.name} <span className="dim">since</span> <When at={each.created} />{" "}
              <button type="button" className="link" onClick={() => remove.mutate(each.id)}>
                Remove
              </button>
            </li>
          ))}
        </ul>
      ) : (
        <p className="dim">You sign in with your password alone. An app on your phone makes it two.</p>
      )}
      {items.length > 0 ? <p className="dim">{found.data?.codes_left} recovery codes left.</p> : null}
      {remove.error ? <Trouble fault={remove.error} /> : null}
      {renew.error ? <Trouble fault={renew.error} /> : null}
      <div className="form-actions">
        <Button variant="default" onClick={shown.onDone}>
          Back
        </Button>
        {items.length > 0 ? (
          <Button variant="default" loading={renew.isPending} onClick={() => renew.mutate()}>
            New recovery codes
          </Button>
        ) : null}
        <Button onClick={shown.onAdd}>Add an app</Button>
      </div>
    </Door>
  );
}

interface AddShown {
  forced: boolean;
  onAdded: (codes: string[]) => void;
  onBack: () => void;
}

function Add({ forced, onAdded, onBack }: AddShown): ReactNode {
  const [code, setCode] = useState("");
  const begin = useMutation({ mutationFn: () => api.beginFactor("app") });
  const confirm = useMutation({
    mutationFn: (id: string) => api.confirmFactor(id, code.trim()),
    onSuccess: ({ codes }) => onAdded(codes),
    onError: () => setCode(""),
  });
  const begun = begin.data;
  return (
    <Door title={forced ? "Set up a second factor" : "Add an app"}>
      <p className="dim">
        {forced ? "Your tenant asks for a second factor. " : ""}Any authenticator app will do. It shows a new code every
        half minute.
      </p>
      {begun ? (
        <form
          className="form"
          onSubmit={(event) => {
            event.preventDefault();
            confirm.mutate(begun.id);
          }}
        >
          <p>
            Open it in your app: <a href={begun.uri}>this link</a> on your phone, or type this seed:
          </p>
          <p className="seed">{begun.seed.replace(/(.{4})/g, "$1 ").trim()}</p>
          <TextInput
            label="Code"
            description="What the app shows now."
            name="code"
            autoComplete="one-time-code"
            inputMode="numeric"
            required
            withAsterisk={false}
            value={code}
            onChange={(event) => setCode(event.currentTarget.value)}
          />
          {confirm.error ? <Trouble fault={confirm.error} /> : null}
          <div className="form-actions">
            <Button variant="default" onClick={onBack}>
              {forced ? "Sign out" : "Back"}
            </Button>
            <Button type="submit" loading={confirm.isPending}>
              Confirm
            </Button>
          </div>
        </form>
      ) : (
        <>
          {begin.error ? <Trouble fault={begin.error} /> : null}
          <div className="form-actions">
            <Button variant="default" onClick={onBack}>
              {forced ? "Sign out" : "Back"}
            </Button>
            <Button loading={begin.isPending} onClick={() => begin.mutate()}>
              Begin
            </Button>
          </div>
        </>
      )}
    </Door>
  );
}

function Codes({ codes, onKept }: { codes: string[]; onKept: () => void }): ReactNode {
  return (
    <Door title="Recovery codes">
      <p>
        Each of these signs you in once when your phone is lost. They are shown this once: print them, or keep them
        safe.
      </p>
      <ul className="codes">
        {codes.map((code) => (
          <li key={code}>{code}</li>
        ))}
      </ul>
      <div className="form-actions">
        <Button onClick={onKept}>I have kept them</Button>
      </div>
    </Door>
  );
}

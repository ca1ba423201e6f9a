import { Button, Checkbox, NativeSelect, PasswordInput, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { api, type Provider, type ProviderForm, type Role } from "../api";
import { useWho } from "../may";
import { Confirm } from "../parts/Confirm";
import { Copy } from "../parts/Copy";
import { Facts, Page } from "../parts/Page";
import { Trouble } from "../parts/Trouble";
import { rolesToGive, roleWords } from "../roles";

const KEY = ["sso"];

/** The tenant's single sign-on: its provider, who may what, and a button that tests it. */
export function SingleSignOn(): ReactNode {
  const query = useQuery({ queryKey: KEY, queryFn: api.provider });
  const [removing, setRemoving] = useState(false);
  const found = query.data;
  return (
    <Page
      title="Single sign-on"
      actions={
        found ? (
          <Button variant="default" onClick={() => setRemoving(true)}>
            Remove
          </Button>
        ) : null
      }
    >
      {query.error ? <Trouble fault={query.error} /> : null}
      {query.isPending || query.error ? null : <SetUp key={found?.set_at ?? ""} found={found ?? null} />}
      {found ? <Tests /> : null}
      {found ? <Required found={found} /> : null}
      {removing ? <Remove onClose={() => setRemoving(false)} /> : null}
    </Page>
  );
}

const words = (text: string) => text.split(/[\s,]+/).filter(Boolean);

function SetUp({ found }: { found: Provider | null }): ReactNode {
  const who = useWho();
  const cache = useQueryClient();
  const [form, setForm] = useState({
    issuer: found?.issuer ?? "",
    client_id: found?.client_id ?? "",
    secret: "",
    default_role: found?.default_role ?? "",
    domains: found?.domains?.join(" ") ?? "",
    scopes: found?.scopes?.join(" ") ?? "openid email profile",
    email_claim: found?.email_claim ?? "email",
    name_claim: found?.name_claim ?? "name",
    groups_claim: found?.groups_claim ?? "groups",
    factors: found?.factors?.join(" ") ?? "",
    ca: found?.ca ?? "",
    create: found?.create ?? true,
    trust_email: found?.trust_email ?? false,
  });
  const [roles, setRoles] = useState<[string, Role][]>(found?.roles.map(({ group, role }) => [group, role]) ?? []);
  const save = useMutation({
    gcTime: 0,
    mutationFn: () => {
      const { secret, default_role, ca, ...rest } = form;
      const told: ProviderForm = {
        ...rest,
        domains: words(form.domains),
        scopes: words(form.scopes),
        factors: words(form.factors),
        ca: ca.trim() || null,
        default_role: (default_role || null) as Role | null,
        roles: roles.filter(([group]) => group.trim()).map(([group, role]) => ({ group: group.trim(), role })),
        ...(secret ? { secret } : {}),
      };
      return api.setProvider(told);
    },
    onSuccess: () => void cache.invalidateQueries({ queryKey: KEY }),
  });
  const field = (name: keyof typeof form, label: string, description = "", required = false) => (
    <TextInput
      label={label}
      description={description}
      name={name}
      autoComplete="off"
      spellCheck={false}
      required={required}
      withAsterisk={false}
      value={String(form[name])}
      onChange={(event) => setForm({ ...form, [name]: event.currentTarget.value })}
    />
  );
  const given = rolesToGive(who.role).map((each) => ({ value: each, label: roleWords(each) }));
  return (
    <form
      className="form form-column"
      aria-label="Provider"
      autoComplete="off"
      onSubmit={(event) => {
        event.preventDefault();
        save.mutate();
      }}
    >
      <Facts
        items={[
          [
            "Redirect URI, to be registered at the provider",
            <Copy
              key="redirect"
              value={found?.redirect ?? `${globalThis.location.origin}/sso/callback/${who.tenant}`}
              label="Copy the redirect URI"
            />,
          ],
        ]}
      />
      {field("issuer", "Issuer", "As the provider spells it: https://id.example.org/realms/acme", true)}
      {field("client_id", "Client id", "", true)}
      <PasswordInput
        label="Client secret"
        description={
          found?.has_secret
            ? "There is one. Leave this empty to keep it; another issuer clears it."
            : "Nobody can read it back. Empty for a public client."
        }
        autoComplete="new-password"
        value={form.secret}
        onChange={(event) => setForm({ ...form, secret: event.currentTarget.value })}
      />
      <fieldset className="form">
        <legend>Which group gives which role</legend>
        {roles.map(([group, role], index) => (
          <div className="form-row" key={index}>
            <TextInput
              aria-label={`Group ${index + 1}`}
              autoComplete="off"
              value={group}
              onChange={(event) => setRoles(roles.with(index, [event.currentTarget.value, role]))}
            />
            <NativeSelect
              aria-label={`Role ${index + 1}`}
              data={given}
              value={role}
              onChange={(event) => setRoles(roles.with(index, [group, event.currentTarget.value as Role]))}
            />
            <button
              type="button"
              className="link"
              aria-label={`Remove group ${index + 1}`}
              onClick={() => setRoles(roles.toSpliced(index, 1))}
            >
              Remove
            </button>
          </div>
        ))}
        <button type="button" className="link" onClick={() => setRoles([...roles, ["", "viewer"]])}>
          Add a group
        </button>
      </fieldset>
      <NativeSelect
        label="Role of who is in none of them"
        data={[{ value: "", label: "none: they are refused" }, ...given]}
        value={form.default_role}
        onChange={(event) => setForm({ ...form, default_role: event.currentTarget.value })}
      />
      {field("domains", "Mail domains", "For which the provider speaks. Who is here already is known only by these.")}
      <Checkbox
        label="Make a user of who comes for the first time"
        checked={form.create}
        onChange={(event) => setForm({ ...form, create: event.currentTarget.checked })}
      />
      <details>
        <summary>More</summary>
        <div className="form">
          {field("scopes", "Scopes")}
          {field("email_claim", "Claim of the e-mail address")}
          {field("name_claim", "Claim of the name")}
          {field("groups_claim", "Claim of the groups")}
          {field("factors", "Second factor", "Values of amr or acr that count as one; without, ours is asked for.")}
          <Checkbox
            label="Believe addresses that the provider does not say it has verified"
            checked={form.trust_email}
            onChange={(event) => setForm({ ...form, trust_email: event.currentTarget.checked })}
          />
          <label className="plain-field">
            CA of the provider (PEM), when it is a private one
            <textarea
              name="ca"
              rows={4}
              spellCheck={false}
              value={form.ca}
              onChange={(event) => setForm({ ...form, ca: event.currentTarget.value })}
            />
          </label>
        </div>
      </details>
      {save.error ? <Trouble fault={save.error} what="Not saved" /> : null}
      {save.data?.secret_cleared ? (
        <p className="banner" role="status">
          The client secret was for another issuer, and has been cleared.
        </p>
      ) : null}
      <div className="form-actions">
        <Button type="submit" loading={save.isPending}>
          Save
        </Button>
      </div>
    </form>
  );
}

function Tests(): ReactNode {
  const test = useMutation({ mutationFn: api.testProvider });
  return (
    <section className="form form-column" aria-label="Test">
      <div className="form-actions">
        <Button variant="default" loading={test.isPending} onClick={() => test.mutate()}>
          Test
        </Button>
      </div>
      {test.error ? <Trouble fault={test.error} /> : null}
      {test.data ? (
        <div role="status">
          <p>
            <strong>{test.data.ok ? "Nothing is wrong." : "Something is wrong."}</strong>
          </p>
          <ul className="findings">
            {test.data.items.map((each) => (
              <li key={each.what}>
                {each.ok ? "✓" : "✗"} <strong>{each.what}</strong>: {each.told}
              </li>
            ))}
          </ul>
        </div>
      ) : null}
    </section>
  );
}

function Required({ found }: { found: Provider }): ReactNode {
  const cache = useQueryClient();
  const set = useMutation({
    mutationFn: (required: boolean) => api.requireSso(required),
    onSuccess: () => void cache.invalidateQueries({ queryKey: KEY }),
  });
  return (
    <section className="form form-column" aria-label="Required">
      <Checkbox
        label="Everybody in this tenant signs in this way"
        description="Passwords open nothing then. API keys work on, and a SuperAdmin can always take this back."
        checked={found.required}
        disabled={set.isPending}
        onChange={(event) => set.mutate(event.currentTarget.checked)}
      />
      {set.error ? <Trouble fault={set.error} what="Not changed" /> : null}
    </section>
  );
}

function Remove({ onClose }: { onClose: () => void }): ReactNode {
  const cache = useQueryClient();
  const remove = useMutation({
    mutationFn: api.removeProvider,
    onSuccess: () => {
      void cache.invalidateQueries({ queryKey: KEY });
      onClose();
    },
  });
  return (
    <Confirm
      title="Remove single sign-on?"
      act="Remove"
      busy={remove.isPending}
      fault={remove.error}
      onAct={() => remove.mutate()}
      onClose={onClose}
    >
      <p>Who came by it is signed out, and who has no password cannot sign in again. The users stay.</p>
    </Confirm>
  );
}

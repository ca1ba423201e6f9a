import { Button, Checkbox, NativeSelect, Textarea, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { api, type Permission } from "../api";
import { moment } from "../format";
import { useMay, useWho } from "../may";
import { readNetworks } from "../networks";
import { Copy, Lines } from "../parts/Copy";
import { Dialog } from "../parts/Dialog";
import { FormDialog, NameInput } from "../parts/FormDialog";
import { PERMISSION_NOTES, roleWords, scopesOf } from "../roles";

/** Make an API key, for oneself or for the service user `user`, and show it once. */
export function NewKey({ user = "", onClose }: { user?: string; onClose: () => void }): ReactNode {
  const who = useWho();
  const manages = useMay("user:manage");
  // A SuperAdmin has no keys of their own.
  const mine = who.role !== "superadmin";
  const users = useQuery({ queryKey: ["users"], queryFn: api.users, enabled: manages });
  const policy = useQuery({ queryKey: ["policy"], queryFn: api.policy });
  const services = users.data?.filter((each) => each.kind === "service" && each.state === "active") ?? [];
  const [owner, setOwner] = useState(user);
  const [name, setName] = useState("");
  const [scopes, setScopes] = useState<readonly Permission[]>([]);
  const [days, setDays] = useState("");
  const [networks, setNetworks] = useState("");
  const [lacks, setLacks] = useState(false);
  const cache = useQueryClient();
  const chosen = owner || (mine ? "" : (services[0]?.id ?? ""));
  const role = chosen ? (services.find((each) => each.id === chosen)?.role ?? "") : who.role;
  const may = scopesOf(role, who.permissions);
  const given = may.filter((each) => scopes.includes(each));
  const longest = policy.data?.key_days;
  const create = useMutation({
    mutationFn: () =>
      api.createKey({
        name: name.trim(),
        ...(chosen ? { user: chosen } : {}),
        scopes: given,
        ...(days.trim() ? { days: Number(days) } : {}),
        addresses: readNetworks(networks),
      }),
    // The answer holds the key: it goes when this form goes.
    gcTime: 0,
    onSuccess: () => void cache.invalidateQueries({ queryKey: ["keys"] }),
  });
  if (create.data) return <Made made={create.data} onClose={onClose} />;
  if (!mine && users.data && services.length === 0)
    return (
      <Dialog title="New API key" onClose={onClose}>
        <div className="form">
          <p>You have no keys of your own here. Make a service user first: a key is for one of them.</p>
          <div className="form-actions">
            <Button onClick={onClose}>Close</Button>
          </div>
        </div>
      </Dialog>
    );
  return (
    <FormDialog
      title="New API key"
      act="Create key"
      failed="Not created"
      busy={create.isPending}
      fault={create.error}
      wide
      onSend={() => {
        setLacks(given.length === 0);
        if (given.length > 0) create.mutate();
      }}
      onClose={onClose}
    >
      <NameInput of="What it is for." value={name} onName={setName} />
      {manages ? (
        <NativeSelect
          label="For"
          data={[
            ...(mine ? [{ value: "", label: `Myself (${roleWords(who.role)})` }] : []),
            ...services.map((each) => ({ value: each.id, label: `${each.name} (${roleWords(each.role)})` })),
          ]}
          value={chosen}
          onChange={(event) => setOwner(event.currentTarget.value)}
        />
      ) : null}
      <fieldset className="choices" aria-describedby={lacks ? "scopes-lack" : undefined}>
        <legend>What it may do</legend>
        {may.map((each) => (
          <Checkbox
            key={each}
            size="xs"
            label={<code>{each}</code>}
            aria-label={each}
            description={PERMISSION_NOTES[each]}
            checked={scopes.includes(each)}
            onChange={(event) => {
              const on = event.currentTarget.checked;
              setLacks(false);
              setScopes((before) => (on ? [...before, each] : before.filter((other) => other !== each)));
            }}
          />
        ))}
        {lacks ? (
          <p id="scopes-lack" className="lacks" role="alert">
            Choose at least one.
          </p>
        ) : null}
      </fieldset>
      <div className="pair">
        <TextInput
          label="Days"
          description={
            longest
              ? `It ends after that; ${longest} at the most here.`
              : "It ends after that; the usual time when empty."
          }
          type="number"
          inputMode="numeric"
          min={1}
          max={longest ?? 3650}
          step={1}
          value={days}
          onChange={(event) => setDays(event.currentTarget.value)}
        />
        <Textarea
          label="Networks"
          description="From where it may be used, one on each line; anywhere when empty."
          placeholder="192.0.2.0/24"
          spellCheck={false}
          rows={2}
          value={networks}
          onChange={(event) => setNetworks(event.currentTarget.value)}
        />
      </div>
    </FormDialog>
  );
}

type Fresh = Awaited<ReturnType<typeof api.createKey>>;

function Made({ made, onClose }: { made: Fresh; onClose: () => void }): ReactNode {
  const { origin } = location;
  const first = made.scopes.includes("flow:read") ? "flow list" : made.scopes.includes("run:read") ? "runs" : "whoami";
  return (
    <Dialog title={`The key ${made.name}`} once wide onClose={onClose}>
      <div className="form">
        <p>Put it where the program’s secrets are. It is shown only now, and works until {moment(made.expires)}.</p>
        <Copy value={made.key} label="Copy the key" />
        <Lines
          title="For the command line, with the key in a file"
          text={`export SLUICE_URL=${origin}\nexport SLUICE_API_KEY_FILE=/run/secrets/sluice-key\nsluice ${first}`}
        />
        <Lines
          title="For anything that speaks HTTP"
          text={`printf '{"key": "%s"}' "$(cat /run/secrets/sluice-key)" |\n  curl -s --json @- ${origin}/api/v1/session/key`}
        />
        <p className="dim">
          What speaks OAuth 2 takes the client id <code>{made.id}</code>, the key as client secret, and the token URL{" "}
          <code>{origin}/oauth/token</code>.
        </p>
        <div className="form-actions">
          <Button onClick={onClose}>I have it</Button>
        </div>
      </div>
    </Dialog>
  );
}

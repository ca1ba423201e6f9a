import { Button, NativeSelect, Textarea } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { Link } from "wouter";
import { api, type Role, type UserRow } from "../api";
import { useWho } from "../may";
import { readNetworks } from "../networks";
import { Confirm } from "../parts/Confirm";
import { Empty, Facts, Page, Panel } from "../parts/Page";
import { Pill, type Tone } from "../parts/Pill";
import { Trouble } from "../parts/Trouble";
import { When } from "../parts/When";
import { ROLE_NOTES, rolesOfServices, rolesToGive, roleWords } from "../roles";
import { KeyState } from "./Keys";
import { NewKey } from "./NewKey";
import { AgainPanel, InvitedPanel, PasswordPanel, useFresh } from "./UserEntry";

export const isService = (row: UserRow): boolean => row.kind === "service";
export const nameOf = (row: UserRow): string => row.name || row.email;

const STATES: Record<string, [Tone, string]> = {
  active: ["ok", "active"],
  invited: ["warn", "invited"],
  disabled: ["plain", "deactivated"],
};

/** Whether somebody can come in. */
export function UserState({ row }: { row: UserRow }): ReactNode {
  const [tone, words] = STATES[row.state] ?? ["plain", row.state];
  return <Pill tone={tone}>{words}</Pill>;
}

/** One user: who they are, what secures them, and what can be done. */
export function UserPage({ id }: { id: string }): ReactNode {
  const users = useQuery({ queryKey: ["users"], queryFn: api.users });
  const back = <Link href="/users">Users</Link>;
  const row = users.data?.find((each) => each.id === id);
  if (users.isPending)
    return (
      <Page title="User" back={back}>
        <output className="waiting">Reading…</output>
      </Page>
    );
  if (!row)
    return (
      <Page title="User" back={back}>
        {users.error ? <Trouble fault={users.error} /> : <Empty title="There is no such user in this tenant." />}
      </Page>
    );
  return (
    <Page title={nameOf(row)} back={back} beside={<UserState row={row} />}>
      <Shown row={row} />
    </Page>
  );
}

function Shown({ row }: { row: UserRow }): ReactNode {
  const who = useWho();
  const service = isService(row);
  // The server decides; this only spares people the buttons that it would refuse.
  const below = rolesToGive(who.role).includes(row.role as Role);
  const other = row.id !== who.id;
  return (
    <>
      <Facts
        items={[
          ...(service ? [] : [["Email", row.email] as const]),
          ["Kind", service ? "service user: a program with API keys alone" : "person"],
          ["Role", roleWords(row.role)],
          ["Created", <When key="created" at={row.created} />],
          ...(service
            ? []
            : [
                ["Last sign-in", row.last_sign_in ? <When key="seen" at={row.last_sign_in} /> : "never"] as const,
                ["Single sign-on", row.sso ? "has come by it" : "has never come by it"] as const,
              ]),
        ]}
      />
      {other ? null : (
        <p className="dim">
          This is you. <Link href="/account">Your account</Link> is where you change your password and second factor.
        </p>
      )}
      <div className="panels">
        {row.state === "invited" && below ? <InvitedPanel row={row} /> : null}
        {below && other && row.state !== "disabled" ? <RolePanel row={row} /> : null}
        {service || row.state !== "active" || !below || !other ? null : <PasswordPanel row={row} />}
        {service || row.state === "invited" ? null : <FactorPanel row={row} may={below && other} />}
        <NetworksPanel row={row} may={below} />
        <KeysPanel row={row} may={below} />
        {below && other && row.state === "active" ? <EndPanel row={row} /> : null}
        {below && other && row.state === "disabled" ? <AgainPanel row={row} /> : null}
      </div>
    </>
  );
}

function RolePanel({ row }: { row: UserRow }): ReactNode {
  const who = useWho();
  const [role, setRole] = useState(row.role as Role);
  const fresh = useFresh();
  const set = useMutation({ mutationFn: () => api.setRole(row.id, role), onSuccess: fresh });
  const roles = isService(row) ? rolesOfServices(who.role) : rolesToGive(who.role);
  const changed = role !== row.role;
  return (
    <Panel title="Role">
      <form
        className="form"
        onSubmit={(event) => {
          event.preventDefault();
          set.mutate();
        }}
      >
        <NativeSelect
          label="Is"
          description={ROLE_NOTES[role]}
          inputWrapperOrder={["label", "input", "description", "error"]}
          data={roles.map((each) => ({ value: each, label: roleWords(each) }))}
          value={role}
          onChange={(event) => setRole(event.currentTarget.value as Role)}
        />
        {changed ? <p className="some">Their tokens and API keys end at once; they stay signed in.</p> : null}
        {set.error ? <Trouble fault={set.error} what="Not changed" /> : null}
        <div className="form-actions">
          <output className="good">{set.isSuccess && !changed ? "Changed." : ""}</output>
          <Button type="submit" variant="default" loading={set.isPending} disabled={!changed}>
            Change role
          </Button>
        </div>
      </form>
    </Panel>
  );
}

function FactorPanel({ row, may }: { row: UserRow; may: boolean }): ReactNode {
  const [asking, setAsking] = useState(false);
  const fresh = useFresh();
  const reset = useMutation({
    mutationFn: () => api.resetFactors(row.id),
    onSuccess: () => {
      fresh();
      setAsking(false);
    },
  });
  return (
    <Panel
      title="Second factor"
      acts={
        may && row.factor ? (
          <Button variant="default" onClick={() => setAsking(true)}>
            Reset second factor
          </Button>
        ) : null
      }
    >
      <p className="dim">
        {row.factor
          ? "They have one. If they lost their phone and their recovery codes, reset it."
          : "They have none: their password alone signs them in."}
      </p>
      {asking ? (
        <Confirm
          title={`Reset the second factor of ${nameOf(row)}?`}
          act="Reset"
          busy={reset.isPending}
          fault={reset.error}
          onAct={() => reset.mutate()}
          onClose={() => setAsking(false)}
        >
          <p>
            Be sure that it is them who asks. They are signed out everywhere, and their password alone signs them in
            until they set up another.
          </p>
        </Confirm>
      ) : null}
    </Panel>
  );
}

function NetworksPanel({ row, may }: { row: UserRow; may: boolean }): ReactNode {
  const [networks, setNetworks] = useState(row.addresses.join("\n"));
  const cache = useQueryClient();
  const set = useMutation({
    mutationFn: () => api.setAddresses(row.id, readNetworks(networks)),
    onSuccess: async () => {
      // Shown as the server spells them.
      const rows = await cache.fetchQuery({ queryKey: ["users"], queryFn: api.users, staleTime: 0 });
      setNetworks(rows.find((each) => each.id === row.id)?.addresses.join("\n") ?? "");
    },
  });
  const changed = readNetworks(networks).join(" ") !== row.addresses.join(" ");
  return (
    <Panel title="Networks">
      <form
        className="form"
        onSubmit={(event) => {
          event.preventDefault();
          set.mutate();
        }}
      >
        <Textarea
          label="May come from"
          description="One network on each line, such as 192.0.2.0/24; anywhere when empty. The tenant's list holds as well."
          spellCheck={false}
          rows={2}
          readOnly={!may}
          value={networks}
          onChange={(event) => setNetworks(event.currentTarget.value)}
        />
        {set.error ? <Trouble fault={set.error} what="Not saved" /> : null}
        {may ? (
          <div className="form-actions">
            <output className="good">{set.isSuccess && !changed ? "Saved." : ""}</output>
            <Button type="submit" variant="default" loading={set.isPending} disabled={!changed}>
              Save networks
            </Button>
          </div>
        ) : null}
      </form>
    </Panel>
  );
}

function KeysPanel({ row, may }: { row: UserRow; may: boolean }): ReactNode {
  const [making, setMaking] = useState(false);
  const keys = useQuery({ queryKey: ["keys"], queryFn: api.keys });
  const own = keys.data?.filter((each) => each.user === row.id && each.state === "active") ?? [];
  return (
    <Panel
      title="API keys"
      acts={
        may && isService(row) && row.state === "active" ? (
          <Button variant="default" onClick={() => setMaking(true)}>
            New key
          </Button>
        ) : null
      }
    >
      {keys.error ? <Trouble fault={keys.error} /> : null}
      {own.length > 0 ? (
        <ul className="entries">
          {own.map((each) => (
            <li key={each.id}>
              <span className="entry">
                <strong>{each.name}</strong>
                <span className="dim">
                  {each.last_used ? (
                    <>
                      last used <When at={each.last_used} /> from {each.last_address}
                    </>
                  ) : (
                    "never used"
                  )}
                </span>
              </span>
              <KeyState state={each.state} />
            </li>
          ))}
        </ul>
      ) : (
        <p className="dim">{keys.data ? "No active key." : ""}</p>
      )}
      <p>
        <Link href="/keys">All keys of the tenant</Link>
      </p>
      {making ? <NewKey user={row.id} onClose={() => setMaking(false)} /> : null}
    </Panel>
  );
}

function EndPanel({ row }: { row: UserRow }): ReactNode {
  const [asking, setAsking] = useState(false);
  const fresh = useFresh();
  const end = useMutation({
    mutationFn: () => api.deactivateUser(row.id),
    onSuccess: () => {
      fresh();
      setAsking(false);
    },
  });
  return (
    <Panel
      title="Access"
      acts={
        <Button variant="default" className="danger-quiet" onClick={() => setAsking(true)}>
          Deactivate
        </Button>
      }
    >
      <p className="dim">
        {isService(row)
          ? "Its keys end for good, and their tokens at once. What it made stays."
          : "They are signed out everywhere and cannot sign in again; their API keys end. What they made stays."}
      </p>
      {asking ? (
        <Confirm
          title={`Deactivate ${nameOf(row)}?`}
          act="Deactivate"
          busy={end.isPending}
          fault={end.error}
          onAct={() => end.mutate()}
          onClose={() => setAsking(false)}
        >
          <p>
            {isService(row)
              ? "Whatever uses its keys is refused from now on."
              : "They are signed out everywhere and cannot sign in again. What they made stays."}
          </p>
        </Confirm>
      ) : null}
    </Panel>
  );
}

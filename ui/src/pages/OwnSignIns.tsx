import { Button } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { api } from "../api";
import { moment } from "../format";
import { Panel } from "../parts/Page";
import { Trouble } from "../parts/Trouble";
import { When } from "../parts/When";

const KEY = ["sign-ins"];

/** Where one is signed in: each can be ended, at once. */
export function OwnSignIns(): ReactNode {
  const cache = useQueryClient();
  const fresh = { onSuccess: () => void cache.invalidateQueries({ queryKey: KEY }) };
  const query = useQuery({ queryKey: KEY, queryFn: api.signIns });
  const end = useMutation({ mutationFn: api.endSignIn, ...fresh });
  const others = useMutation({ mutationFn: api.endOtherSignIns, ...fresh });
  const items = query.data ?? [];
  return (
    <Panel
      title="Where you are signed in"
      acts={
        items.length > 1 ? (
          <Button variant="default" loading={others.isPending} onClick={() => others.mutate()}>
            End all others
          </Button>
        ) : null
      }
    >
      {query.error ? <Trouble fault={query.error} /> : null}
      {end.error ? <Trouble fault={end.error} /> : null}
      {others.error ? <Trouble fault={others.error} /> : null}
      <ul className="entries">
        {items.map((each) => (
          <li key={each.id}>
            <span className="entry">
              <strong title={each.client}>{clientWords(each.client)}</strong>
              <span className="dim">
                {each.address} · since {moment(each.created)} · seen <When at={each.used} />
              </span>
            </span>
            {each.current ? (
              <span className="good">this one</span>
            ) : (
              <button
                type="button"
                className="link"
                aria-label={`End ${clientWords(each.client)} from ${each.address}`}
                disabled={end.isPending}
                onClick={() => end.mutate(each.id)}
              >
                End
              </button>
            )}
          </li>
        ))}
      </ul>
    </Panel>
  );
}

/** Return what a person calls the client that calls itself `agent`: browser and system, as far as it tells. */
export function clientWords(agent: string): string {
  // Each browser names those before it as well: the last to come is the one.
  const browser = ["Edg", "OPR", "Firefox", "Chrome", "Safari"].find((name) => agent.includes(`${name}/`));
  if (!browser) return agent.split(/[\s/]/)[0] || "unknown client";
  const names: Record<string, string> = { Edg: "Edge", OPR: "Opera" };
  const system = /Windows|Android|iPhone|iPad|Mac OS X|CrOS|Linux/.exec(agent)?.[0]?.replace("Mac OS X", "macOS");
  return `${names[browser] ?? browser}${system ? ` on ${system}` : ""}`;
}

/** What happened to one's account. */
export function OwnNotices(): ReactNode {
  const query = useQuery({ queryKey: ["notices"], queryFn: api.notices });
  const items = query.data ?? [];
  return (
    <Panel title="What happened">
      {query.error ? <Trouble fault={query.error} /> : null}
      {query.data && items.length === 0 ? (
        <p className="dim">Nothing yet: no new device, no change of password, second factor, address or keys.</p>
      ) : null}
      <ul className="entries">
        {items.map((each) => (
          <li key={each.at + each.kind}>
            <span className="entry">
              <strong>
                {each.subject}
                {each.about ? `: ${each.about}` : ""}
              </strong>
              <span className="dim">
                {moment(each.at)}
                {each.address ? ` · from ${each.address}` : ""}
                {each.client ? ` · ${clientWords(each.client)}` : ""}
              </span>
            </span>
          </li>
        ))}
      </ul>
    </Panel>
  );
}

import { useMutation, useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { Link } from "wouter";
import { api } from "../api";
import { useMay, useWho } from "../may";
import { asProblem } from "../problem";
import { session } from "../session";
import { Until } from "./When";

/** What must not be overlooked above any page: that a SuperAdmin is inside a tenant, and that one may see its rows. */
export function Place(): ReactNode {
  const who = useWho();
  const gives = useMay("support:grant") && who.tenant !== null;
  if (who.role === "superadmin") return who.tenant ? <Visitor /> : null;
  return gives ? <Seen /> : null;
}

function Visitor(): ReactNode {
  const who = useWho();
  const leave = useMutation({ mutationFn: () => session.switchTo(undefined) });
  const name = <strong>{who.tenant_name ?? who.tenant}</strong>;
  return (
    <section className={`place ${who.support ? "place-seen" : ""}`} aria-label="Where you are">
      <p>
        {who.support ? (
          <>
            You are in tenant {name} as SuperAdmin, <strong>with its rows</strong>: by a support access. All you ask is
            on its audit trail.
          </>
        ) : (
          <>You are in tenant {name} as SuperAdmin, without its rows.</>
        )}
        {leave.error ? <span role="alert"> {asProblem(leave.error).message}</span> : null}
      </p>
      <button type="button" className="link" disabled={leave.isPending} onClick={() => leave.mutate()}>
        Leave the tenant
      </button>
    </section>
  );
}

function Seen(): ReactNode {
  const query = useQuery({ queryKey: ["support"], queryFn: api.support, refetchInterval: 60_000 });
  const held = query.data?.filter((each) => each.state === "active") ?? [];
  const [first] = held;
  if (!first) return null;
  return (
    <section className="place place-seen" aria-label="Support access">
      <p>
        <strong>{first.email || "Any SuperAdmin"}</strong> may see the rows of this tenant. It ends{" "}
        <Until at={first.expires} />
        {held.length > 1 ? `; so may others, ${held.length} accesses in all` : ""}.
      </p>
      <Link href="/support">Support access</Link>
    </section>
  );
}

import { useQuery } from "@tanstack/react-query";
import { lazy, type ReactNode, Suspense, useEffect, useRef, useSyncExternalStore } from "react";
import { useLocation } from "wouter";
import { api } from "./api";
import { arrival } from "./arrival";
import { drafts } from "./drafts";
import { WhoContext } from "./may";
import { Arrived } from "./pages/Arrived";
import { Bootstrap } from "./pages/Bootstrap";
import { ChangePassword } from "./pages/ChangePassword";
import { Door } from "./pages/Door";
import { Factor } from "./pages/Factor";
import { Factors } from "./pages/Factors";
import { SignIn } from "./pages/SignIn";
import { Unseal } from "./pages/Unseal";
import { StepUp } from "./parts/StepUp";
import { Trouble } from "./parts/Trouble";
import { queries } from "./queries";
import { session } from "./session";

const load = () => import("./Rooms");
const Rooms = lazy(load);

/** Decide which door or room to show: first administrator, sign-in, new password, or the product. */
export function App(): ReactNode {
  const { phase, notice, place } = useSyncExternalStore(session.subscribe, session.snapshot);
  const came = useSyncExternalStore(arrival.subscribe, arrival.snapshot);
  useEffect(() => {
    // Fetched while the person types, so that the product is there when they are in. A failure shows when it is needed.
    load().catch(() => undefined);
  }, []);
  useEffect(() => {
    // Whoever signs in next must find nothing of the person before. Drafts outlive a session that merely ran out.
    if (phase === "out") queries.removeQueries({ predicate: (query) => query.queryKey[0] !== "health" });
    if (phase === "out" && !notice) drafts.clear();
  }, [phase, notice]);
  useEffect(() => {
    // In another tenant now: nothing of the one before may be seen there, and no text written for it be saved.
    if (place === 0) return;
    drafts.clear();
    void queries.resetQueries({ predicate: (query) => query.queryKey[0] !== "health" });
  }, [place]);
  if (phase === "waiting") return <Door title="Signing in…">{null}</Door>;
  if (came) return <Arrived came={came} signedIn={phase !== "out"} />;
  if (phase === "in") return <Inside />;
  if (phase === "proved") return <Proved />;
  if (phase === "change") return <ChangePassword />;
  if (phase === "factor") return <Factor />;
  if (phase === "enrol") return <Factors />;
  return <Outside notice={notice} />;
}

/** A window that was opened for a fresh proof, and has brought it. */
function Proved(): ReactNode {
  useEffect(() => window.close(), []);
  return (
    <Door title="It is you">
      <p>Go on in the window you came from. This one can be closed.</p>
    </Door>
  );
}

function Outside({ notice }: { notice: string }): ReactNode {
  const health = useQuery({
    queryKey: ["health"],
    queryFn: ({ signal }) => api.health(signal),
    refetchOnWindowFocus: false,
  });
  if (health.isPending) return <Door title="Sluicegate">{null}</Door>;
  if (health.error)
    return (
      <Door title="No connection">
        <Trouble fault={health.error} />
        <button type="button" className="link" onClick={() => void health.refetch()}>
          Try again
        </button>
      </Door>
    );
  if (health.data.status === "sealed") return <Unseal />;
  return health.data.bootstrap ? <Bootstrap /> : <SignIn notice={notice} mail={health.data.mail !== "off"} />;
}

function Inside(): ReactNode {
  const who = useQuery({
    queryKey: ["whoami"],
    queryFn: api.whoami,
    staleTime: 60_000,
    // A SuperAdmin's place and support access may end without their doing.
    refetchInterval: ({ state }) => (state.data?.role === "superadmin" && state.data.tenant ? 15_000 : false),
  });
  const [, move] = useLocation();
  const tenant = who.data?.tenant;
  const before = useRef(tenant);
  useEffect(() => {
    if (tenant === undefined) return;
    // In another tenant there is no such page as the one that was open.
    if (before.current !== undefined && before.current !== tenant) move("/", { replace: true });
    before.current = tenant;
  }, [tenant, move]);
  if (who.isPending) return <Door title="Signing in…">{null}</Door>;
  if (who.error)
    return (
      <Door title="Signing in did not finish">
        <Trouble fault={who.error} />
        <button type="button" className="link" onClick={() => void who.refetch()}>
          Try again
        </button>
        <button type="button" className="link" onClick={() => void session.logout().catch(() => undefined)}>
          Sign out
        </button>
      </Door>
    );
  return (
    <WhoContext value={who.data}>
      <Suspense fallback={<Door title="Signing in…">{null}</Door>}>
        <Rooms key={who.data.tenant ?? ""} />
      </Suspense>
      <StepUp />
    </WhoContext>
  );
}

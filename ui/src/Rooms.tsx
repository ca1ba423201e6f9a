import type { ReactNode } from "react";
import { Link, Redirect, Route, Switch, useLocation } from "wouter";
import type { Permission, Shelf, Who } from "./api";
import { useWho } from "./may";
import { Account } from "./pages/Account";
import { Audit } from "./pages/Audit";
import { DefinitionPage, NewDefinition } from "./pages/Definition";
import { Definitions } from "./pages/Definitions";
import { Keys } from "./pages/Keys";
import { Mail } from "./pages/Mail";
import { Policy } from "./pages/Policy";
import { RunPage } from "./pages/Run";
import { Runs } from "./pages/Runs";
import { Secrets } from "./pages/Secrets";
import { SingleSignOn } from "./pages/SingleSignOn";
import { Support } from "./pages/Support";
import { Tenants } from "./pages/Tenants";
import { UserPage } from "./pages/User";
import { Users } from "./pages/Users";
import { Icon, type IconName, Mark } from "./parts/Icon";
import { Empty, Page } from "./parts/Page";
import { Place } from "./parts/Place";
import { roleWords } from "./roles";
import { session } from "./session";

interface Room {
  path: string;
  title: string;
  icon: IconName;
  needs: Permission;
  /** Whether it is about one tenant's things, so that it is empty for a person in no tenant. */
  tenant: boolean;
}

const SHELVED: readonly Shelf[] = ["flows", "connections", "recipients"];

const ROOMS: readonly (readonly Room[])[] = [
  [
    { path: "/flows", title: "Flows", icon: "flows", needs: "flow:read", tenant: true },
    { path: "/runs", title: "Runs", icon: "runs", needs: "run:read", tenant: true },
  ],
  [
    { path: "/connections", title: "Connections", icon: "connections", needs: "connection:read", tenant: true },
    { path: "/recipients", title: "Recipients", icon: "recipients", needs: "connection:read", tenant: true },
    { path: "/secrets", title: "Secrets", icon: "secrets", needs: "connection:read", tenant: true },
  ],
  [
    { path: "/users", title: "Users", icon: "users", needs: "user:manage", tenant: true },
    { path: "/keys", title: "API keys", icon: "keys", needs: "self:use", tenant: true },
    { path: "/sso", title: "Single sign-on", icon: "sso", needs: "user:manage", tenant: true },
    { path: "/policy", title: "Policy", icon: "policy", needs: "user:manage", tenant: true },
    { path: "/support", title: "Support access", icon: "support", needs: "user:manage", tenant: true },
    { path: "/tenants", title: "Tenants", icon: "tenants", needs: "tenant:manage", tenant: false },
    { path: "/mail", title: "Mail", icon: "mail", needs: "user:manage", tenant: false },
    { path: "/audit", title: "Audit trail", icon: "audit", needs: "audit:read", tenant: true },
  ],
];

function roomsOf(who: Who): Room[][] {
  return ROOMS.map((group) =>
    group.filter((room) => who.permissions.includes(room.needs) && (!room.tenant || who.tenant !== null)),
  ).filter((group) => group.length > 0);
}

/** The product for a person who is signed in: navigation by what their role may do, and the page they are on. */
export default function Rooms(): ReactNode {
  const who = useWho();
  const groups = roomsOf(who);
  const home = groups[0]?.[0]?.path ?? "/account";
  const has = (path: string) => groups.some((group) => group.some((room) => room.path === path));
  return (
    <div className="shell">
      <a className="skip" href="#main">
        Skip to the content
      </a>
      <Nav who={who} groups={groups} home={home} />
      <div className="room">
        <Place />
        <Switch>
          {SHELVED.filter((shelf) => has(`/${shelf}`)).flatMap((shelf) => [
            <Route key={shelf} path={`/${shelf}`} children={() => <Definitions key={shelf} shelf={shelf} />} />,
            <Route
              key={`${shelf}/`}
              path={`/${shelf}/:name`}
              children={({ name }) => <DefinitionPage key={`${shelf}/${name}`} shelf={shelf} name={name ?? ""} />}
            />,
          ])}
          {has("/flows") && who.permissions.includes("definition:write") ? (
            <Route path="/new/:shelf" children={({ shelf }) => <NewDefinition key={shelf} shelf={shelf} />} />
          ) : null}
          {has("/runs") ? <Route path="/runs" component={Runs} /> : null}
          {has("/runs") ? <Route path="/runs/:id" children={({ id }) => <RunPage key={id} id={id} />} /> : null}
          {has("/secrets") ? <Route path="/secrets" component={Secrets} /> : null}
          {has("/users") ? <Route path="/users" component={Users} /> : null}
          {has("/users") ? <Route path="/users/:id" children={({ id }) => <UserPage key={id} id={id} />} /> : null}
          {has("/keys") ? <Route path="/keys" component={Keys} /> : null}
          {has("/sso") ? <Route path="/sso" component={SingleSignOn} /> : null}
          {has("/policy") ? <Route path="/policy" component={Policy} /> : null}
          {has("/support") ? <Route path="/support" component={Support} /> : null}
          <Route path="/account" component={Account} />
          {has("/tenants") ? <Route path="/tenants" component={Tenants} /> : null}
          {has("/mail") ? <Route path="/mail" component={Mail} /> : null}
          {has("/audit") ? <Route path="/audit" component={Audit} /> : null}
          <Route path="/" children={() => <Redirect to={home} replace />} />
          <Route>
            <Page title="Nothing is here">
              <Empty title="There is no such page, or your role does not see it.">
                <Link href={home}>Go to the start</Link>
              </Empty>
            </Page>
          </Route>
        </Switch>
      </div>
    </div>
  );
}

interface NavShown {
  who: Who;
  groups: Room[][];
  home: string;
}

function Nav({ who, groups, home }: NavShown): ReactNode {
  const [location, move] = useLocation();
  const leave = () => {
    // Signed out here even if the server cannot be told. The next person starts at the start, not on this one's page.
    session.logout().catch(() => undefined);
    move("/", { replace: true });
  };
  const here = (path: string) =>
    location === path || location.startsWith(`${path}/`) || location.startsWith(`/new${path}`);
  return (
    <aside className="nav" aria-label="Navigation and account">
      <Link href={home} className="brand">
        <Mark /> Sluicegate
      </Link>
      <div className="nav-tenant">{who.tenant_name ?? who.tenant ?? "all tenants"}</div>
      <nav aria-label="Main">
        {groups.map((group) => (
          <ul className="nav-list" key={group[0]?.path}>
            {group.map((room) => (
              <li key={room.path}>
                <Link
                  href={room.path}
                  className="nav-link"
                  {...(here(room.path) ? { "aria-current": "page" as const } : {})}
                >
                  <Icon name={room.icon} />
                  {room.title}
                </Link>
              </li>
            ))}
          </ul>
        ))}
      </nav>
      <div className="nav-foot">
        <strong>{who.name || who.email}</strong>
        <span>{roleWords(who.role)}</span>
        <div className="nav-foot-acts">
          <Link href="/account" className="link" {...(here("/account") ? { "aria-current": "page" as const } : {})}>
            Your account
          </Link>
          <button type="button" className="link" onClick={leave}>
            Sign out
          </button>
        </div>
      </div>
    </aside>
  );
}

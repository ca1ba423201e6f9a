import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { Link } from "wouter";
import { api } from "../api";
import { useWho } from "../may";
import { Dialog } from "../parts/Dialog";
import { Page, Panel } from "../parts/Page";
import { PasswordForm } from "../parts/PasswordForm";
import { session } from "../session";
import { OwnFactors } from "./OwnFactors";
import { OwnProfile } from "./OwnProfile";
import { OwnNotices, OwnSignIns } from "./OwnSignIns";

/** One's own account: who one is here, and how one proves it. */
export function Account(): ReactNode {
  const who = useWho();
  return (
    <Page title="Your account">
      <div className="panels">
        <OwnProfile />
        {session.bySso ? null : <Password />}
        <OwnFactors />
        {who.tenant ? <OwnKeys /> : null}
        <OwnSignIns />
        <OwnNotices />
      </div>
    </Page>
  );
}

function Password(): ReactNode {
  const [changing, setChanging] = useState(false);
  const [busy, setBusy] = useState(false);
  const [done, setDone] = useState(false);
  return (
    <Panel
      title="Password"
      acts={
        <Button
          variant="default"
          onClick={() => {
            setDone(false);
            setChanging(true);
          }}
        >
          Change password
        </Button>
      }
    >
      <p className={done ? "good" : "dim"} role="status">
        {done
          ? "Your password is changed. You are signed out everywhere else."
          : "A new one signs you out everywhere else."}
      </p>
      {changing ? (
        <Dialog title="Change password" busy={busy} onClose={() => setChanging(false)}>
          <PasswordForm
            back="Cancel"
            onBack={() => setChanging(false)}
            onBusy={setBusy}
            onDone={() => {
              setChanging(false);
              setDone(true);
            }}
          />
        </Dialog>
      ) : null}
    </Panel>
  );
}

function OwnKeys(): ReactNode {
  const who = useWho();
  const keys = useQuery({ queryKey: ["keys"], queryFn: api.keys });
  const own = keys.data?.filter((each) => each.user === who.id && each.state === "active").length;
  return (
    <Panel title="API keys">
      <p>
        {own === undefined
          ? null
          : own === 0
            ? "You have no API key. "
            : own === 1
              ? "One is active. "
              : `${own} are active. `}
        <Link href="/keys">{own === 0 ? "Make one" : "See your keys"}</Link>
      </p>
    </Panel>
  );
}

import { type ReactNode, useState } from "react";
import { AddApp } from "../parts/AddApp";
import { Codes } from "../parts/Codes";
import { session } from "../session";
import { Door } from "./Door";

/** Set up a second factor, because the tenant asks for one before anything else. */
export function Factors(): ReactNode {
  const [codes, setCodes] = useState<readonly string[]>([]);
  if (codes.length > 0)
    return (
      <Door title="Recovery codes">
        <Codes codes={codes} onKept={() => void session.settle()} />
      </Door>
    );
  return (
    <Door title="Set up a second factor">
      <p className="dim">
        Your tenant asks for a second factor. Any authenticator app will do. It shows a new code every half minute.
      </p>
      <AddApp
        back="Sign out"
        onBack={() => void session.logout().catch(() => undefined)}
        onAdded={(fresh) => (fresh.length > 0 ? setCodes(fresh) : void session.settle())}
      />
    </Door>
  );
}

import type { ReactNode } from "react";
import { PasswordForm } from "../parts/PasswordForm";
import { session } from "../session";
import { Door } from "./Door";

/** Choose a new password, because one has to. */
export function ChangePassword(): ReactNode {
  return (
    <Door title="Choose your own password">
      <p className="dim">The password you signed in with was made for you and works only until you choose your own.</p>
      <PasswordForm back="Sign out" onBack={() => void session.logout().catch(() => undefined)} />
    </Door>
  );
}

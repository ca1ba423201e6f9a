import { TextInput } from "@mantine/core";
import { type ReactNode, useState } from "react";

interface Named {
  tenant: string;
  email: string;
  /** As the server asks for it: without a tenant when there is none. */
  account: { email: string; tenant?: string };
  fields: (lacking?: string) => ReactNode;
}

/** The fields that say who somebody is before they are signed in. */
export function useAccount(): Named {
  const [tenantText, setTenant] = useState("");
  const [emailText, setEmail] = useState("");
  const tenant = tenantText.trim();
  const email = emailText.trim();
  const fields = (lacking = "") => (
    <>
      <TextInput
        label="Tenant"
        description="Leave it empty if you belong to none."
        name="tenant"
        autoComplete="organization"
        spellCheck={false}
        error={lacking}
        value={tenantText}
        onChange={(event) => setTenant(event.currentTarget.value)}
      />
      <TextInput
        label="Email"
        name="email"
        type="email"
        autoComplete="username"
        required
        withAsterisk={false}
        value={emailText}
        onChange={(event) => setEmail(event.currentTarget.value)}
      />
    </>
  );
  return { tenant, email, account: { email, ...(tenant ? { tenant } : {}) }, fields };
}

import { PasswordInput } from "@mantine/core";
import { type ReactNode, useState } from "react";

const NOTE =
  "At least 15 characters, or 12 if you have a second factor. A few words in a row do well; your name and well-known " +
  "passwords do not.";

interface Chosen {
  password: string;
  same: boolean;
  /** Whether what is typed the second time cannot become the same any more by leaving it as it is. */
  differs: boolean;
  fields: ReactNode;
}

/** Two fields for a password of one's choice, and what was chosen. */
export function useNewPassword(label: string, again: string): Chosen {
  const [password, setPassword] = useState("");
  const [repeated, setRepeated] = useState("");
  const differs = repeated !== "" && repeated !== password;
  const fields = (
    <>
      <PasswordInput
        label={label}
        name="new"
        description={NOTE}
        autoComplete="new-password"
        minLength={12}
        required
        withAsterisk={false}
        value={password}
        onChange={(event) => setPassword(event.currentTarget.value)}
      />
      <PasswordInput
        label={again}
        name="again"
        autoComplete="new-password"
        required
        withAsterisk={false}
        error={differs ? "This is not the same." : undefined}
        value={repeated}
        onChange={(event) => setRepeated(event.currentTarget.value)}
      />
    </>
  );
  return { password, same: password === repeated, differs, fields };
}

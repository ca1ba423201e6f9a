import { Button, TextInput } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { Trouble } from "../parts/Trouble";
import { session } from "../session";
import { Door } from "./Door";

/** The second half of signing in: a code of the app, or a recovery code. */
export function Factor(): ReactNode {
  const [code, setCode] = useState("");
  const give = useMutation({ mutationFn: () => session.giveFactor(code.trim()), onError: () => setCode("") });
  return (
    <Door title="Second factor">
      <form
        className="form"
        onSubmit={(event) => {
          event.preventDefault();
          give.mutate();
        }}
      >
        <TextInput
          label="Code"
          description="What your app shows now, or one of your recovery codes."
          name="code"
          autoComplete="one-time-code"
          inputMode="text"
          spellCheck={false}
          required
          withAsterisk={false}
          data-autofocus
          value={code}
          onChange={(event) => setCode(event.currentTarget.value)}
        />
        {give.error ? <Trouble fault={give.error} /> : null}
        <div className="form-actions">
          <Button variant="default" onClick={() => void session.logout().catch(() => undefined)}>
            Back
          </Button>
          <Button type="submit" loading={give.isPending}>
            Sign in
          </Button>
        </div>
      </form>
    </Door>
  );
}

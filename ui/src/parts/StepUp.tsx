import { Button, Modal, PasswordInput, TextInput } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { type ReactNode, useEffect, useState } from "react";
import { Problem } from "../problem";
import { session } from "../session";
import { Trouble } from "./Trouble";

interface Waiting {
  done: () => void;
  refuse: (fault: Problem) => void;
}

const NO = new Problem({ code: "step_up", status: 401, title: "This needs a fresh proof that it is you." });

/** Asks for the password, and the second factor of who has one, when the server wants a fresh proof. */
export function StepUp(): ReactNode {
  const [waiting, setWaiting] = useState<Waiting>();
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  useEffect(() => {
    session.onStepUp(() => new Promise<void>((done, refuse) => setWaiting({ done, refuse })));
    return () => session.onStepUp(undefined);
  }, []);
  const close = () => {
    setWaiting(undefined);
    setPassword("");
    setCode("");
  };
  const prove = useMutation({
    mutationFn: () => session.prove(password, code.trim()),
    onSuccess: () => {
      waiting?.done();
      close();
    },
    onError: () => setPassword(""),
  });
  if (!waiting) return null;
  return (
    <Modal
      opened
      onClose={() => {
        waiting.refuse(NO);
        close();
      }}
      title="Is it still you?"
      closeButtonProps={{ "aria-label": "Close" }}
    >
      <form
        className="form"
        onSubmit={(event) => {
          event.preventDefault();
          prove.mutate();
        }}
      >
        <p className="dim">This needs a sign-in of the last five minutes.</p>
        <PasswordInput
          label="Password"
          name="password"
          autoComplete="current-password"
          required
          withAsterisk={false}
          value={password}
          onChange={(event) => setPassword(event.currentTarget.value)}
        />
        <TextInput
          label="Code"
          description="If you have a second factor."
          name="code"
          autoComplete="one-time-code"
          value={code}
          onChange={(event) => setCode(event.currentTarget.value)}
        />
        {prove.error ? <Trouble fault={prove.error} /> : null}
        <div className="form-actions">
          <Button type="submit" loading={prove.isPending}>
            Go on
          </Button>
        </div>
      </form>
    </Modal>
  );
}

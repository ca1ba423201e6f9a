import { Button, Modal, PasswordInput, TextInput } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { type ReactNode, useEffect, useState } from "react";
import { proofElsewhere } from "../elsewhere";
import { Problem } from "../problem";
import { session } from "../session";
import { Trouble } from "./Trouble";

interface Waiting {
  done: () => void;
  refuse: (fault: Problem) => void;
}

const NO = new Problem({ code: "step_up", status: 401, title: "This needs a fresh proof that it is you." });
const BLOCKED = new Problem({
  code: "failed",
  status: 0,
  title: "The browser did not open a window for your sign-in.",
  hint: "Allow this page to open windows.",
});

/** Asks for a proof by the way the person came, when the server wants a fresh one. */
export function StepUp(): ReactNode {
  const [waiting, setWaiting] = useState<Waiting>();
  useEffect(() => {
    session.onStepUp(() => new Promise<void>((done, refuse) => setWaiting({ done, refuse })));
    return () => session.onStepUp(undefined);
  }, []);
  if (!waiting) return null;
  const proved = () => {
    waiting.done();
    setWaiting(undefined);
  };
  return (
    <Modal
      opened
      onClose={() => {
        waiting.refuse(NO);
        setWaiting(undefined);
      }}
      title="Is it still you?"
      closeButtonProps={{ "aria-label": "Close" }}
    >
      {session.bySso ? <ByProvider onProved={proved} /> : <ByPassword onProved={proved} />}
    </Modal>
  );
}

function Code({ code, onCode }: { code: string; onCode: (code: string) => void }): ReactNode {
  return (
    <TextInput
      label="Code"
      description="If you have a second factor."
      name="code"
      autoComplete="one-time-code"
      value={code}
      onChange={(event) => onCode(event.currentTarget.value)}
    />
  );
}

function ByPassword({ onProved }: { onProved: () => void }): ReactNode {
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const prove = useMutation({
    mutationFn: () => session.prove(password, code.trim()),
    onSuccess: onProved,
    onError: () => setPassword(""),
  });
  return (
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
      <Code code={code} onCode={setCode} />
      {prove.error ? <Trouble fault={prove.error} /> : null}
      <div className="form-actions">
        <Button type="submit" loading={prove.isPending}>
          Go on
        </Button>
      </div>
    </form>
  );
}

/** In a window of its own, so that what the person was doing here stays as it is. */
function ByProvider({ onProved }: { onProved: () => void }): ReactNode {
  const [code, setCode] = useState("");
  useEffect(() => {
    const over = new AbortController();
    void proofElsewhere(over.signal).then(onProved);
    return () => over.abort();
  }, [onProved]);
  const leave = useMutation({
    mutationFn: async () => {
      // Opened while the click counts: later the browser would take it for an advertisement.
      const opened = globalThis.open("about:blank", "_blank", "popup,width=560,height=720");
      if (!opened) throw BLOCKED;
      try {
        opened.location.replace(await session.departAgain(code.trim()));
      } catch (fault) {
        opened.close();
        throw fault;
      }
    },
  });
  return (
    <form
      className="form"
      onSubmit={(event) => {
        event.preventDefault();
        leave.mutate();
      }}
    >
      <p className="dim">
        This needs a sign-in of the last five minutes. Your provider asks you in a window of its own.
      </p>
      <Code code={code} onCode={setCode} />
      {leave.error ? <Trouble fault={leave.error} /> : null}
      <div className="form-actions">
        <Button type="submit" loading={leave.isPending}>
          Continue with single sign-on
        </Button>
      </div>
    </form>
  );
}

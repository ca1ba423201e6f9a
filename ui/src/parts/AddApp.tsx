import { Button, TextInput } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { api } from "../api";
import { Qr } from "./Qr";
import { Trouble } from "./Trouble";

interface Shown {
  /** The words of the button that leads away. */
  back: string;
  onBack: () => void;
  /** The app counts now. With the first one come recovery codes, which are shown once. */
  onAdded: (codes: string[]) => void;
  onBusy?: (busy: boolean) => void;
}

/** Set up an authenticator app: a name, a code to scan, and what the app then shows. */
export function AddApp({ back, onBack, onAdded, onBusy }: Shown): ReactNode {
  const [name, setName] = useState("Phone");
  const [code, setCode] = useState("");
  const busy = { onMutate: () => onBusy?.(true), onSettled: () => onBusy?.(false) };
  // The answers hold the seed and the codes: they go when this form goes.
  const begin = useMutation({ mutationFn: () => api.beginFactor(name.trim()), gcTime: 0, ...busy });
  const confirm = useMutation({
    mutationFn: (id: string) => api.confirmFactor(id, code.trim()),
    gcTime: 0,
    ...busy,
    onSuccess: ({ codes }) => onAdded(codes),
    onError: () => setCode(""),
  });
  const begun = begin.data;
  if (!begun)
    return (
      <form
        className="form"
        onSubmit={(event) => {
          event.preventDefault();
          begin.mutate();
        }}
      >
        <TextInput
          label="Name"
          description="What you call the device it is on."
          autoComplete="off"
          required
          withAsterisk={false}
          maxLength={64}
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          data-autofocus
        />
        {begin.error ? <Trouble fault={begin.error} /> : null}
        <div className="form-actions">
          <Button variant="default" onClick={onBack}>
            {back}
          </Button>
          <Button type="submit" loading={begin.isPending}>
            Begin
          </Button>
        </div>
      </form>
    );
  return (
    <form
      className="form"
      onSubmit={(event) => {
        event.preventDefault();
        confirm.mutate(begun.id);
      }}
    >
      <p>Scan this with your app:</p>
      <Qr text={begun.uri} label="For the camera of your authenticator app; the seed below says the same" />
      <p>
        On this device, <a href={begun.uri}>open it in your app</a>. Or type this seed:
      </p>
      <p className="seed">{begun.seed.replace(/(.{4})/g, "$1 ").trim()}</p>
      <TextInput
        label="Code"
        description="What the app shows now."
        name="code"
        autoComplete="one-time-code"
        inputMode="numeric"
        required
        withAsterisk={false}
        value={code}
        onChange={(event) => setCode(event.currentTarget.value)}
      />
      {confirm.error ? <Trouble fault={confirm.error} /> : null}
      <div className="form-actions">
        <Button variant="default" onClick={onBack}>
          {back}
        </Button>
        <Button type="submit" loading={confirm.isPending}>
          Confirm
        </Button>
      </div>
    </form>
  );
}

import { Button, PasswordInput, TextInput } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { Trouble } from "../parts/Trouble";
import { queries } from "../queries";
import { session } from "../session";
import { Door } from "./Door";

/** Make the first administrator, once, with the code that the server shows at its start. */
export function Bootstrap(): ReactNode {
  const [form, setForm] = useState({ code: "", email: "", name: "", password: "" });
  const set = (key: keyof typeof form) => (event: { currentTarget: { value: string } }) => {
    const { value } = event.currentTarget;
    setForm((before) => ({ ...before, [key]: value }));
  };
  const make = useMutation({
    mutationFn: () =>
      session.bootstrap({ ...form, code: form.code.trim(), email: form.email.trim(), name: form.name.trim() }),
    onSuccess: () => queries.removeQueries({ queryKey: ["health"] }),
  });
  return (
    <Door title="First administrator">
      <p className="dim">Nobody can sign in yet. The server wrote a one-time code to its console when it started.</p>
      <form
        className="form"
        onSubmit={(event) => {
          event.preventDefault();
          make.mutate();
        }}
      >
        <TextInput
          label="Code"
          name="code"
          autoComplete="one-time-code"
          spellCheck={false}
          required
          withAsterisk={false}
          value={form.code}
          onChange={set("code")}
        />
        <TextInput
          label="Email"
          name="email"
          type="email"
          autoComplete="username"
          required
          withAsterisk={false}
          value={form.email}
          onChange={set("email")}
        />
        <TextInput
          label="Name"
          name="name"
          autoComplete="name"
          required
          withAsterisk={false}
          value={form.name}
          onChange={set("name")}
        />
        <PasswordInput
          label="Password"
          name="password"
          description="At least 15 characters. A few words in a row do well; your name and well-known passwords do not."
          autoComplete="new-password"
          minLength={15}
          required
          withAsterisk={false}
          value={form.password}
          onChange={set("password")}
        />
        {make.error ? <Trouble fault={make.error} /> : null}
        <Button type="submit" size="sm" loading={make.isPending}>
          Create administrator
        </Button>
      </form>
    </Door>
  );
}

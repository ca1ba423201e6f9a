import { Button, PasswordInput } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { useAccount } from "../parts/Account";
import { Trouble } from "../parts/Trouble";
import { session } from "../session";
import { Door } from "./Door";
import { Forgot } from "./Forgot";

/** Sign in with tenant (where there is one), e-mail address and password. */
export function SignIn({ notice, mail }: { notice: string; mail: boolean }): ReactNode {
  const [forgot, setForgot] = useState(false);
  const { tenant, account, fields } = useAccount();
  const [password, setPassword] = useState("");
  const [lacking, setLacking] = useState("");
  const login = useMutation({
    mutationFn: () => session.login({ ...account, password }),
    onError: () => setPassword(""),
  });
  const leave = useMutation({
    mutationFn: () => session.depart(tenant),
    onSuccess: (url) => globalThis.location.assign(url),
  });
  const depart = () => {
    setLacking(tenant ? "" : "Say first which tenant you belong to.");
    if (tenant) leave.mutate();
  };
  if (forgot) return <Forgot mail={mail} onBack={() => setForgot(false)} />;
  return (
    <Door title="Sign in">
      {notice && !login.error ? (
        <p className="banner" role="status">
          {notice}
        </p>
      ) : null}
      <form
        className="form"
        onSubmit={(event) => {
          event.preventDefault();
          login.mutate();
        }}
      >
        {fields(lacking)}
        <PasswordInput
          label="Password"
          name="password"
          autoComplete="current-password"
          required
          withAsterisk={false}
          value={password}
          onChange={(event) => setPassword(event.currentTarget.value)}
        />
        {login.error ? <Trouble fault={login.error} /> : null}
        <Button type="submit" size="sm" loading={login.isPending}>
          Sign in
        </Button>
        {leave.error ? <Trouble fault={leave.error} /> : null}
        <Button variant="default" size="sm" loading={leave.isPending || leave.isSuccess} onClick={depart}>
          Continue with single sign-on
        </Button>
        <button type="button" className="link" onClick={() => setForgot(true)}>
          Password forgotten?
        </button>
      </form>
    </Door>
  );
}

import { Button, PasswordInput } from "@mantine/core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { api } from "../api";
import { Trouble } from "../parts/Trouble";
import { queries } from "../queries";
import { Door } from "./Door";

/** A sealed server: each person who holds a share brings it, or somebody the passphrase. */
export function Unseal(): ReactNode {
  const [share, setShare] = useState("");
  const seal = useQuery({
    queryKey: ["health", "seal"],
    queryFn: async ({ signal }) => {
      const found = await api.seal(signal);
      if (!found.sealed) void queries.invalidateQueries({ queryKey: ["health"], exact: true });
      return found;
    },
    refetchInterval: 3_000, // the others are elsewhere
  });
  const give = useMutation({
    mutationFn: () => api.unseal(share.trim()),
    onSettled: () => seal.refetch(),
    onSuccess: () => setShare(""),
  });
  const alone = seal.data?.kind === "passphrase";
  return (
    <Door title="Sealed">
      <p className="dim">
        This server has no keys yet.{" "}
        {alone ? "Whoever knows the passphrase opens it." : "Those who hold its shares open it together."}
      </p>
      {seal.data && !alone ? (
        <p role="status">
          {seal.data.given} of {seal.data.needed} shares are there (set {seal.data.set}).
        </p>
      ) : null}
      <form
        className="form"
        onSubmit={(event) => {
          event.preventDefault();
          give.mutate();
        }}
      >
        <PasswordInput
          label={alone ? "Passphrase" : "Your share"}
          name="share"
          autoComplete="off"
          spellCheck={false}
          required
          withAsterisk={false}
          value={share}
          onChange={(event) => setShare(event.currentTarget.value)}
        />
        {give.error ? <Trouble fault={give.error} /> : null}
        {seal.error ? <Trouble fault={seal.error} /> : null}
        <Button type="submit" size="sm" loading={give.isPending}>
          {alone ? "Open" : "Give my share"}
        </Button>
      </form>
    </Door>
  );
}

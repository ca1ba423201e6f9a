import { useMutation, useQueryClient } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { api } from "../api";
import { useWho } from "../may";
import { PersonForm } from "../parts/PersonForm";
import { Sent } from "../parts/Sent";
import { rolesToGive } from "../roles";

/** Ask somebody to come: by mail, or by a link to hand over. */
export function Invite({ onClose }: { onClose: () => void }): ReactNode {
  const cache = useQueryClient();
  const roles = rolesToGive(useWho().role);
  const invite = useMutation({
    mutationFn: api.invite,
    // The answer may hold the link: it goes when this form goes.
    gcTime: 0,
    onSuccess: () => void cache.invalidateQueries({ queryKey: ["users"] }),
  });
  if (invite.data)
    return <Sent sent={invite.data} what="They choose their name and password by it." onClose={onClose} />;
  return (
    <PersonForm
      title="Invite somebody"
      act="Invite"
      failed="Not invited"
      roles={{ all: roles, first: "viewer" }}
      nameless={{ note: "They may write it otherwise." }}
      busy={invite.isPending}
      fault={invite.error}
      onSend={invite.mutate}
      onClose={onClose}
    />
  );
}

import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { api } from "../api";
import { useMay, useWho } from "../may";

const LONG = 60_000;

/** Who did something. The server tells ids; names are known of oneself, and of all to those who may list the users. */
export function Person({ id }: { id: string | null | undefined }): ReactNode {
  const who = useWho();
  const may = useMay("user:manage") && who.tenant !== null;
  const users = useQuery({ queryKey: ["users"], queryFn: api.users, enabled: may, staleTime: LONG });
  if (!id) return <span className="dim">nobody</span>;
  if (id === who.id) return "you";
  const user = users.data?.find((each) => each.id === id);
  if (user) return <span title={user.email}>{user.name || user.email}</span>;
  // An id of ours is long and its beginning only tells the time: its end tells people apart.
  return id.length === 36 ? <code title={id}>…{id.slice(-8)}</code> : id;
}

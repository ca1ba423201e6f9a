import { createContext, useContext } from "react";
import type { Permission, Who } from "./api";

export const WhoContext = createContext<Who | undefined>(undefined);

/** Return the person who is signed in. */
export function useWho(): Who {
  const who = useContext(WhoContext);
  if (!who) throw new Error("useWho is used outside the signed-in part of the page");
  return who;
}

/** Tell whether the person may do `what`. This only decides what is shown: the server decides what is done. */
export function useMay(what: Permission): boolean {
  return useWho().permissions.includes(what);
}

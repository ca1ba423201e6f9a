import { QueryClient } from "@tanstack/react-query";
import { asProblem } from "./problem";

/** Questions are asked again only when asking again can help: no answer, or the server's own fault. */
export const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 3000,
      retry: (failures, fault) => {
        const { status } = asProblem(fault);
        return failures < 2 && (status === 0 || status >= 500);
      },
    },
    mutations: { retry: false },
  },
});

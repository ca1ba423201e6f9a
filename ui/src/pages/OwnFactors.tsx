import { Button } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { api } from "../api";
import { AddApp } from "../parts/AddApp";
import { Codes } from "../parts/Codes";
import { Confirm } from "../parts/Confirm";
import { Dialog } from "../parts/Dialog";
import { Panel } from "../parts/Page";
import { Trouble } from "../parts/Trouble";
import { When } from "../parts/When";

type Factor = Awaited<ReturnType<typeof api.factors>>["items"][number];

/** One's second factors: the apps, and the recovery codes that are left. */
export function OwnFactors(): ReactNode {
  const [doing, setDoing] = useState<"add" | "renew">();
  const [codes, setCodes] = useState<readonly string[]>([]);
  const [leaving, setLeaving] = useState<Factor>();
  const [busy, setBusy] = useState(false);
  const client = useQueryClient();
  const fresh = () => void client.invalidateQueries({ queryKey: ["factors"] });
  const found = useQuery({ queryKey: ["factors"], queryFn: api.factors });
  const items = found.data?.items ?? [];
  const left = found.data?.codes_left ?? 0;
  return (
    <Panel
      title="Second factor"
      acts={
        found.data ? (
          <Button variant={items.length > 0 ? "default" : "filled"} onClick={() => setDoing("add")}>
            Add an app
          </Button>
        ) : null
      }
    >
      {found.error ? <Trouble fault={found.error} /> : null}
      {found.data && items.length === 0 ? (
        <p className="dim">You sign in with your password alone. An app on your phone makes it two.</p>
      ) : null}
      {items.length > 0 ? (
        <ul className="entries">
          {items.map((each) => (
            <li key={each.id}>
              <span className="entry">
                <strong>{each.name}</strong>
                <span className="dim">
                  since <When at={each.created} />
                  {each.used ? (
                    <>
                      {" · last used "}
                      <When at={each.used} />
                    </>
                  ) : null}
                </span>
              </span>
              <button
                type="button"
                className="link"
                aria-label={`Remove ${each.name}`}
                onClick={() => setLeaving(each)}
              >
                Remove
              </button>
            </li>
          ))}
          <li>
            <span className="entry">
              <strong>Recovery codes</strong>
              <span className={left > 2 ? "dim" : "some"}>{left} recovery codes left.</span>
            </span>
            <button type="button" className="link" onClick={() => setDoing("renew")}>
              New recovery codes
            </button>
          </li>
        </ul>
      ) : null}
      {doing === "add" ? (
        <Dialog title="Add an app" busy={busy} onClose={() => setDoing(undefined)}>
          <AddApp
            back="Cancel"
            onBack={() => setDoing(undefined)}
            onBusy={setBusy}
            onAdded={(given) => {
              setCodes(given);
              setDoing(undefined);
              fresh();
            }}
          />
        </Dialog>
      ) : null}
      {doing === "renew" ? (
        <Renew
          onClose={() => setDoing(undefined)}
          onCodes={(given) => {
            setCodes(given);
            setDoing(undefined);
            fresh();
          }}
        />
      ) : null}
      {codes.length > 0 ? (
        <Dialog title="Recovery codes" once onClose={() => setCodes([])}>
          <Codes codes={codes} onKept={() => setCodes([])} />
        </Dialog>
      ) : null}
      {leaving ? <Leave row={leaving} last={items.length === 1} onClose={() => setLeaving(undefined)} /> : null}
    </Panel>
  );
}

function Renew({ onClose, onCodes }: { onClose: () => void; onCodes: (codes: string[]) => void }): ReactNode {
  const renew = useMutation({ mutationFn: api.renewCodes, gcTime: 0, onSuccess: ({ codes }) => onCodes(codes) });
  return (
    <Confirm
      title="New recovery codes?"
      act="Make new codes"
      busy={renew.isPending}
      fault={renew.error}
      onAct={() => renew.mutate()}
      onClose={onClose}
    >
      <p>The codes you have now stop working.</p>
    </Confirm>
  );
}

function Leave({ row, last, onClose }: { row: Factor; last: boolean; onClose: () => void }): ReactNode {
  const client = useQueryClient();
  const remove = useMutation({
    mutationFn: () => api.removeFactor(row.id),
    onSuccess: () => {
      void client.invalidateQueries({ queryKey: ["factors"] });
      onClose();
    },
  });
  return (
    <Confirm
      title={`Remove ${row.name}?`}
      act="Remove"
      busy={remove.isPending}
      fault={remove.error}
      onAct={() => remove.mutate()}
      onClose={onClose}
    >
      <p>
        {last
          ? "It is your only one: from then on your password alone signs you in, and your recovery codes are void."
          : "Its codes no longer sign you in."}
      </p>
    </Confirm>
  );
}

import { Button, Modal } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { useLocation } from "wouter";
import { api, type Shelf } from "../api";
import { drafts } from "../drafts";
import { Confirm } from "../parts/Confirm";
import { Trouble } from "../parts/Trouble";
import { SHELVES } from "../shelves";

/** Delete a definition, after one question. */
export function DeleteButton({ shelf, name }: { shelf: Shelf; name: string }): ReactNode {
  const { one } = SHELVES[shelf];
  const [asking, setAsking] = useState(false);
  const [, go] = useLocation();
  const cache = useQueryClient();
  const remove = useMutation({
    mutationFn: () => api.deleteDefinition(shelf, name),
    onSuccess: () => {
      drafts.keep(`${shelf}/${name}`, undefined);
      go(`/${shelf}`);
      void cache.invalidateQueries({ queryKey: [shelf] });
    },
  });
  return (
    <>
      <Button variant="default" className="danger-quiet" onClick={() => setAsking(true)}>
        Delete
      </Button>
      {asking ? (
        <Confirm
          title={`Delete the ${one} ${name}?`}
          act={`Delete ${one}`}
          busy={remove.isPending}
          fault={remove.error}
          onAct={() => remove.mutate()}
          onClose={() => {
            remove.reset();
            setAsking(false);
          }}
        >
          <p>Its versions{shelf === "flows" ? " and runs" : ""} stay on record.</p>
        </Confirm>
      ) : null}
    </>
  );
}

/** Ask the server whether a connection answers. */
export function TestButton({ name }: { name: string }): ReactNode {
  const test = useMutation({ mutationFn: () => api.testConnection(name) });
  return (
    <>
      <Button variant="default" loading={test.isPending} onClick={() => test.mutate()}>
        Test connection
      </Button>
      {test.error || test.data ? (
        <Modal
          opened
          onClose={() => test.reset()}
          title={test.error ? `${name} does not answer` : `${name} answers`}
          closeButtonProps={{ "aria-label": "Close" }}
        >
          {test.error ? <Trouble fault={test.error} /> : <p>{test.data?.answer}</p>}
        </Modal>
      ) : null}
    </>
  );
}

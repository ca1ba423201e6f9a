import { Button, TextInput } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { api } from "../api";
import { Dialog } from "../parts/Dialog";
import { Trouble } from "../parts/Trouble";

/** Look for personal data in an item of a connection. The answer has no values in it. */
export function DetectButton({ name }: { name: string }): ReactNode {
  const [open, setOpen] = useState(false);
  return (
    <>
      <Button variant="default" onClick={() => setOpen(true)}>
        Find personal data
      </Button>
      {open ? <Detect name={name} onClose={() => setOpen(false)} /> : null}
    </>
  );
}

function Detect({ name, onClose }: { name: string; onClose: () => void }): ReactNode {
  const [item, setItem] = useState("");
  const look = useMutation({ mutationFn: () => api.detect(name, item.trim()) });
  const found = look.data;
  return (
    <Dialog title={`Personal data in ${name}`} busy={look.isPending} wide onClose={onClose}>
      <form
        className="form"
        onSubmit={(event) => {
          event.preventDefault();
          look.mutate();
        }}
      >
        <TextInput
          label="Item"
          description="Table, view or file. Its first rows are looked through; no value is shown."
          required
          withAsterisk={false}
          maxLength={1024}
          value={item}
          onChange={(event) => setItem(event.currentTarget.value)}
          data-autofocus
        />
        {look.error ? <Trouble fault={look.error} what="Not looked through" /> : null}
        <div className="form-actions">
          <Button variant="default" onClick={onClose}>
            Close
          </Button>
          <Button type="submit" loading={look.isPending}>
            Look
          </Button>
        </div>
      </form>
      {found && found.items.length === 0 ? (
        <p role="status">None of the columns looks personal in {found.rows} rows.</p>
      ) : null}
      {found && found.items.length > 0 ? (
        <>
          <table className="grid" aria-label="Columns that look personal">
            <thead>
              <tr>
                <th>Column</th>
                <th>Looks like</th>
                <th>Share</th>
                <th>Told by</th>
                <th>Confidence</th>
              </tr>
            </thead>
            <tbody>
              {found.items.map((each) => (
                <tr key={each.column}>
                  <td>{each.column}</td>
                  <td>{each.category}</td>
                  <td>{Math.round(each.share * 100)} %</td>
                  <td>{each.by}</td>
                  <td>{each.confidence}</td>
                </tr>
              ))}
            </tbody>
          </table>
          <p>For the flow or the connection:</p>
          <pre>
            {found.tags}
            {found.step}
          </pre>
        </>
      ) : null}
    </Dialog>
  );
}

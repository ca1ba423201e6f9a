import { Button, Checkbox, Modal, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useMemo, useState } from "react";
import { useLocation } from "wouter";
import { api, type Definition } from "../api";
import { faultOf, type Param, readParams, toValues } from "../params";
import { Trouble } from "../parts/Trouble";

const INPUTS: Record<Param["type"], { type?: string; inputMode?: "numeric" | "decimal" }> = {
  bool: {},
  int64: { inputMode: "numeric" },
  float64: { inputMode: "decimal" },
  decimal: { inputMode: "decimal" },
  text: {},
  date: { type: "date" },
  timestamp: {},
};

function hintOf(param: Param): string {
  const kind = param.type === "timestamp" ? "timestamp, YYYY-MM-DD HH:MM:SS" : param.type;
  return [param.description, kind].filter(Boolean).join(" · ");
}

/** Start a run of the saved version; a flow with parameters asks for them first. */
export function RunButton({ flow, unsaved }: { flow: Definition; unsaved: boolean }): ReactNode {
  const params = useMemo(() => readParams(flow.body), [flow.body]);
  const [open, setOpen] = useState(false);
  const [, go] = useLocation();
  const cache = useQueryClient();
  const start = useMutation({
    mutationFn: (values: Record<string, unknown>) => api.startRun(flow.name, values),
    onSuccess: ({ id }) => {
      void cache.invalidateQueries({ queryKey: ["runs"] });
      go(`/runs/${id}`);
    },
  });
  const ask = params.length > 0 || unsaved;
  return (
    <>
      <Button
        variant={unsaved ? "default" : "filled"}
        loading={start.isPending && !open}
        onClick={() => (ask ? setOpen(true) : start.mutate({}))}
      >
        Run
      </Button>
      {open ? (
        <RunForm
          flow={flow}
          params={params}
          unsaved={unsaved}
          busy={start.isPending}
          fault={start.error}
          onStart={start.mutate}
          onClose={() => {
            start.reset();
            setOpen(false);
          }}
        />
      ) : start.error ? (
        <Modal
          opened
          onClose={() => start.reset()}
          title="The run was not started"
          closeButtonProps={{ "aria-label": "Close" }}
        >
          <Trouble fault={start.error} />
        </Modal>
      ) : null}
    </>
  );
}

interface FormShown {
  flow: Definition;
  params: readonly Param[];
  unsaved: boolean;
  busy: boolean;
  fault: unknown;
  onStart: (values: Record<string, unknown>) => void;
  onClose: () => void;
}

function RunForm({ flow, params, unsaved, busy, fault, onStart, onClose }: FormShown): ReactNode {
  const [fields, setFields] = useState<Record<string, string>>(() =>
    Object.fromEntries(params.map((param) => [param.name, param.fallback ?? (param.type === "bool" ? "false" : "")])),
  );
  const [tried, setTried] = useState(false);
  const set = (name: string, value: string) => setFields((before) => ({ ...before, [name]: value }));
  return (
    <Modal opened onClose={onClose} title={`Run ${flow.name}`} closeButtonProps={{ "aria-label": "Close" }}>
      <form
        className="form"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          setTried(true);
          if (params.every((param) => !faultOf(param, fields[param.name] ?? ""))) onStart(toValues(params, fields));
        }}
      >
        {unsaved ? (
          <p className="banner">
            Version {flow.version} runs. The changes on this page are not saved and not part of it.
          </p>
        ) : null}
        {params.map((param) =>
          param.type === "bool" ? (
            <Checkbox
              key={param.name}
              label={param.name}
              description={hintOf(param)}
              checked={fields[param.name] === "true"}
              onChange={(event) => set(param.name, String(event.currentTarget.checked))}
            />
          ) : (
            <TextInput
              key={param.name}
              label={param.name}
              description={hintOf(param)}
              spellCheck={false}
              autoComplete="off"
              value={fields[param.name] ?? ""}
              error={tried ? faultOf(param, fields[param.name] ?? "") || undefined : undefined}
              onChange={(event) => set(param.name, event.currentTarget.value)}
              {...INPUTS[param.type]}
            />
          ),
        )}
        {fault ? <Trouble fault={fault} what="Not started" /> : null}
        <div className="form-actions">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={busy}>
            Start run
          </Button>
        </div>
      </form>
    </Modal>
  );
}

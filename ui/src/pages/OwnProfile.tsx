import { Button, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { api } from "../api";
import { useWho } from "../may";
import { Dialog } from "../parts/Dialog";
import { Facts, Panel } from "../parts/Page";
import { Trouble } from "../parts/Trouble";
import { roleWords } from "../roles";

const KEY = ["profile"];
type Profile = Awaited<ReturnType<typeof api.profile>>;

/** Who one is here: name, language and time zone can be changed; the e-mail address by a link that is sent there. */
export function OwnProfile(): ReactNode {
  const who = useWho();
  const [doing, setDoing] = useState<"profile" | "email">();
  const profile = useQuery({ queryKey: KEY, queryFn: api.profile });
  const told = profile.data;
  return (
    <Panel
      title="You"
      acts={
        told ? (
          <span className="page-actions">
            {told.mail ? (
              <Button variant="default" onClick={() => setDoing("email")}>
                Change email
              </Button>
            ) : null}
            <Button variant="default" onClick={() => setDoing("profile")}>
              Edit
            </Button>
          </span>
        ) : null
      }
    >
      <Facts
        items={[
          ["Name", told?.name || who.name || "–"],
          ["Email", told?.email ?? who.email],
          ["Role", roleWords(who.role)],
          ["Tenant", who.tenant_name ?? "none: you stand above all"],
          ...(told?.language ? [["Language", told.language] as const] : []),
          ...(told?.zone ? [["Time zone", told.zone] as const] : []),
        ]}
      />
      {profile.error ? <Trouble fault={profile.error} /> : null}
      {doing === "profile" && told ? <Edit told={told} onClose={() => setDoing(undefined)} /> : null}
      {doing === "email" ? <Email onClose={() => setDoing(undefined)} /> : null}
    </Panel>
  );
}

function Edit({ told, onClose }: { told: Profile; onClose: () => void }): ReactNode {
  const [name, setName] = useState(told.name);
  const [language, setLanguage] = useState(told.language);
  const [zone, setZone] = useState(told.zone);
  const cache = useQueryClient();
  const save = useMutation({
    mutationFn: () => api.setProfile({ name: name.trim(), language: language.trim(), zone: zone.trim() }),
    onSuccess: (fresh) => {
      cache.setQueryData(KEY, fresh);
      void cache.invalidateQueries({ queryKey: ["whoami"] });
      onClose();
    },
  });
  return (
    <Dialog title="Your profile" busy={save.isPending} onClose={onClose}>
      <form
        className="form"
        onSubmit={(event) => {
          event.preventDefault();
          save.mutate();
        }}
      >
        <TextInput
          label="Name"
          autoComplete="name"
          required
          withAsterisk={false}
          maxLength={254}
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          data-autofocus
        />
        <TextInput
          label="Language"
          description="Such as de or pt-BR; may be empty."
          spellCheck={false}
          value={language}
          onChange={(event) => setLanguage(event.currentTarget.value)}
        />
        <TextInput
          label="Time zone"
          description={`Such as Europe/Berlin; may be empty. This browser is in ${Intl.DateTimeFormat().resolvedOptions().timeZone}.`}
          spellCheck={false}
          value={zone}
          onChange={(event) => setZone(event.currentTarget.value)}
        />
        {save.error ? <Trouble fault={save.error} what="Not saved" /> : null}
        <div className="form-actions">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={save.isPending}>
            Save
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

function Email({ onClose }: { onClose: () => void }): ReactNode {
  const [email, setEmail] = useState("");
  const change = useMutation({ mutationFn: () => api.changeEmail(email.trim()) });
  return (
    <Dialog title="Change email" busy={change.isPending} onClose={onClose}>
      {change.isSuccess ? (
        <div className="form">
          <p role="status">
            A link is on its way to <strong>{email.trim()}</strong>. The address counts once you have opened it; the old
            one is told.
          </p>
          <div className="form-actions">
            <Button onClick={onClose}>Close</Button>
          </div>
        </div>
      ) : (
        <form
          className="form"
          onSubmit={(event) => {
            event.preventDefault();
            change.mutate();
          }}
        >
          <TextInput
            label="New email"
            type="email"
            autoComplete="email"
            required
            withAsterisk={false}
            value={email}
            onChange={(event) => setEmail(event.currentTarget.value)}
            data-autofocus
          />
          {change.error ? <Trouble fault={change.error} /> : null}
          <div className="form-actions">
            <Button variant="default" onClick={onClose}>
              Cancel
            </Button>
            <Button type="submit" loading={change.isPending}>
              Send a link
            </Button>
          </div>
        </form>
      )}
    </Dialog>
  );
}

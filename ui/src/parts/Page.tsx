import { type ReactNode, useEffect } from "react";

interface Shown {
  title: string;
  /** What stands above the title: the way back. */
  back?: ReactNode;
  /** What stands beside the title. */
  beside?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
}

/** A page: its heading with what can be done, then its content. */
export function Page({ title, back, beside, actions, children }: Shown): ReactNode {
  useEffect(() => {
    document.title = `${title} · Sluicegate`;
  }, [title]);
  return (
    <main id="main" className="page" tabIndex={-1}>
      <header className="page-head">
        <div className="page-title">
          {back ? <nav aria-label="Way back">{back}</nav> : null}
          <div className="page-name">
            <h1>{title}</h1>
            {beside}
          </div>
        </div>
        {actions ? <div className="page-actions">{actions}</div> : null}
      </header>
      {children}
    </main>
  );
}

/** Facts in pairs. */
export function Facts({ items }: { items: readonly (readonly [string, ReactNode])[] }): ReactNode {
  return (
    <dl className="facts">
      {items.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** What a list says when it is empty: why, and what to do next. */
export function Empty({
  title,
  children,
  action,
}: {
  title: string;
  children?: ReactNode;
  action?: ReactNode;
}): ReactNode {
  return (
    <div className="empty">
      <p className="empty-title">{title}</p>
      {children ? <p className="empty-text">{children}</p> : null}
      {action}
    </div>
  );
}

interface Paneled {
  title: string;
  /** What can be done, beside the heading. */
  acts?: ReactNode;
  children: ReactNode;
}

/** One part of a page, with a heading of its own. */
export function Panel({ title, acts, children }: Paneled): ReactNode {
  return (
    <section className="panel" aria-label={title}>
      <div className="panel-head">
        <h2>{title}</h2>
        {acts}
      </div>
      <div className="panel-body stack">{children}</div>
    </section>
  );
}

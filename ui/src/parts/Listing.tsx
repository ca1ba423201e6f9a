import { TextInput } from "@mantine/core";
import type { UseQueryResult } from "@tanstack/react-query";
import type { RowData } from "@tanstack/react-table";
import { type ReactNode, useMemo, useState } from "react";
import { Grid } from "./Grid";
import { Empty } from "./Page";
import { Trouble } from "./Trouble";

type GridProps<T extends RowData> = Parameters<typeof Grid<T>>[0];

interface Shown<T extends RowData> extends Omit<GridProps<T>, "rows"> {
  query: UseQueryResult<T[]>;
  /** What stands here when there is nothing at all. */
  empty: ReactNode;
  /** The text a row is found by; with it a search field appears. */
  text?: (row: T) => string;
  /** More controls beside the search field. */
  controls?: ReactNode;
}

const NOTHING: readonly never[] = [];

/** A list from the server: waiting, trouble, empty, or a table with a search field. */
export function Listing<T extends RowData>({ query, empty, text, controls, ...grid }: Shown<T>): ReactNode {
  const [wanted, setWanted] = useState("");
  const all: readonly T[] = query.data ?? NOTHING;
  const rows = useMemo(() => {
    const word = wanted.trim().toLowerCase();
    return word && text ? all.filter((row) => text(row).toLowerCase().includes(word)) : all;
  }, [all, wanted, text]);
  const trouble = query.error ? (
    <Trouble
      fault={query.error}
      what={query.data ? "This list may be out of date" : "This list could not be read"}
      action={
        <button type="button" className="link" onClick={() => void query.refetch()}>
          Try again
        </button>
      }
    />
  ) : null;
  if (query.isPending) return <output className="waiting">Reading…</output>;
  if (!query.data) return trouble;
  return (
    <>
      {trouble}
      {all.length === 0 && !controls ? (
        empty
      ) : (
        <>
          <div className="tools">
            {text ? (
              <TextInput
                className="search"
                aria-label="Search this list"
                placeholder="Search"
                type="search"
                size="xs"
                value={wanted}
                onChange={(event) => setWanted(event.currentTarget.value)}
              />
            ) : null}
            {controls}
            <span className="dim tools-count">
              {rows.length === all.length ? `${all.length}` : `${rows.length} of ${all.length}`}
            </span>
          </div>
          {all.length === 0 ? (
            empty
          ) : rows.length === 0 ? (
            <Empty title={`Nothing matches “${wanted.trim()}”.`} />
          ) : (
            <Grid rows={rows} {...grid} />
          )}
        </>
      )}
    </>
  );
}

import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { Link } from "wouter";
import { api, type DefinitionRow, type Shelf } from "../api";
import { useMay } from "../may";
import { columnsOf } from "../parts/Grid";
import { Listing } from "../parts/Listing";
import { Empty, Page } from "../parts/Page";
import { Person } from "../parts/Person";
import { State, stateWords } from "../parts/State";
import { When } from "../parts/When";
import { SHELVES } from "../shelves";

const shared = (shelf: Shelf) => [
  {
    id: "name",
    title: "Name",
    look: "main",
    value: (row: DefinitionRow) => row.name,
    cell: (row: DefinitionRow) => <Link href={`/${shelf}/${encodeURIComponent(row.name)}`}>{row.name}</Link>,
  },
];

const tail = [
  { id: "version", title: "Version", numeric: true, look: "slim", value: (row: DefinitionRow) => row.version },
  {
    id: "author",
    title: "Author",
    value: (row: DefinitionRow) => row.author,
    cell: (row: DefinitionRow) => <Person id={row.author} />,
  },
  {
    id: "changed",
    title: "Changed",
    value: (row: DefinitionRow) => row.created,
    cell: (row: DefinitionRow) => <When at={row.created} />,
  },
];

const lastRun = [
  {
    id: "last",
    title: "Last run",
    value: (row: DefinitionRow) => (row.last_run ? stateWords(row.last_run.state) : ""),
    cell: (row: DefinitionRow) =>
      row.last_run ? (
        <Link href={`/runs/${row.last_run.id}`}>
          <State state={row.last_run.state} />
        </Link>
      ) : (
        <span className="dim">never</span>
      ),
  },
  {
    id: "when",
    title: "Started",
    value: (row: DefinitionRow) => row.last_run?.created ?? "",
    cell: (row: DefinitionRow) => <When at={row.last_run?.created} />,
  },
];

const COLUMNS = {
  flows: columnsOf([...shared("flows"), ...lastRun, ...tail]),
  connections: columnsOf([...shared("connections"), ...tail]),
  recipients: columnsOf([...shared("recipients"), ...tail]),
};

const SORT = [{ id: "name", desc: false }];
const rowId = (row: DefinitionRow) => row.name;
const text = (row: DefinitionRow) => row.name;

/** All definitions of one kind. */
export function Definitions({ shelf }: { shelf: Shelf }): ReactNode {
  const { title, one, empty } = SHELVES[shelf];
  const may = useMay("definition:write");
  const query = useQuery({
    queryKey: [shelf],
    queryFn: ({ signal }) => api.definitions(shelf, signal),
    refetchInterval: shelf === "flows" ? 10_000 : false,
  });
  const fresh = may ? (
    <Button component={Link} href={`/new/${shelf}`}>
      New {one}
    </Button>
  ) : null;
  return (
    <Page title={title} actions={fresh}>
      <Listing
        label={title}
        query={query}
        columns={COLUMNS[shelf]}
        rowId={rowId}
        text={text}
        sort={SORT}
        empty={<Empty title={`There are no ${title.toLowerCase()} yet.`}>{empty}</Empty>}
      />
    </Page>
  );
}

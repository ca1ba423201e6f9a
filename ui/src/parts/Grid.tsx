import {
  type ColumnDef,
  createSortedRowModel,
  type RowData,
  rowSortingFeature,
  type SortingState,
  sortFn_alphanumeric,
  sortFn_basic,
  tableFeatures,
  useTable,
} from "@tanstack/react-table";
import type { ReactNode } from "react";

const features = tableFeatures({
  rowSortingFeature,
  sortedRowModel: createSortedRowModel(),
  sortFns: { alphanumeric: sortFn_alphanumeric, basic: sortFn_basic },
});

/** One column. `value` is what it sorts by; `cell` is what it shows (the value itself when left out). */
export interface Column<T> {
  id: string;
  title: string;
  value?: (row: T) => string | number;
  cell?: (row: T) => ReactNode;
  /** Numbers stand to the right in even figures. */
  numeric?: boolean;
  /** A class for the cells, for width and wrapping. */
  look?: string;
}

/** Return columns in the form the table engine wants. Call it once, outside the component. */
export function columnsOf<T extends RowData>(columns: readonly Column<T>[]): ColumnDef<typeof features, T>[] {
  return columns.map((column) => ({
    id: column.id,
    header: column.title,
    accessorFn: (row: T) => (column.value ? column.value(row) : ""),
    enableSorting: column.value !== undefined,
    sortFn: "basic",
    cell: (context) => (column.cell ? column.cell(context.row.original) : String(context.getValue())),
    meta: { numeric: column.numeric ?? false, look: column.look ?? "" },
  }));
}

interface Meta {
  numeric: boolean;
  look: string;
}

function looks(meta: unknown): string {
  const { numeric, look } = meta as Meta;
  return [numeric ? "num" : "", look].filter(Boolean).join(" ");
}

interface Shown<T extends RowData> {
  /** What the table holds, for people who do not see it. */
  label: string;
  columns: ColumnDef<typeof features, T>[];
  rows: readonly T[];
  rowId: (row: T) => string;
  sort?: SortingState;
  marked?: (row: T) => boolean;
  /** Rows of what is over. */
  faded?: (row: T) => boolean;
}

const UNSORTED: SortingState = [];

/** A dense table that sorts by its headings. */
export function Grid<T extends RowData>(shown: Shown<T>): ReactNode {
  const { label, columns, rows, rowId, sort = UNSORTED, marked, faded } = shown;
  const table = useTable({
    features,
    columns,
    data: rows as T[],
    getRowId: rowId,
    initialState: { sorting: sort },
    enableMultiSort: false,
  });
  return (
    // Focusable, because a wide table scrolls sideways and the keyboard must reach that.
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region needs the focus to scroll by keyboard
    <section className="grid-frame" aria-label={label} tabIndex={0}>
      <table className="grid">
        <thead>
          {table.getHeaderGroups().map((group) => (
            <tr key={group.id}>
              {group.headers.map((header) => {
                const { column } = header;
                const sorted = column.getIsSorted();
                const order = sorted === "asc" ? "ascending" : sorted === "desc" ? "descending" : undefined;
                return (
                  <th
                    key={header.id}
                    scope="col"
                    className={looks(column.columnDef.meta)}
                    {...(order ? { "aria-sort": order } : {})}
                  >
                    {column.getCanSort() ? (
                      <button type="button" className="sort" onClick={column.getToggleSortingHandler()}>
                        <table.FlexRender header={header} />
                        <span className="sort-sign" aria-hidden="true">
                          {sorted === "asc" ? "↑" : sorted === "desc" ? "↓" : ""}
                        </span>
                      </button>
                    ) : (
                      <table.FlexRender header={header} />
                    )}
                  </th>
                );
              })}
            </tr>
          ))}
        </thead>
        <tbody>
          {table.getRowModel().rows.map((row) => (
            <tr
              key={row.id}
              {...(marked?.(row.original) ? { className: "marked" } : {})}
              {...(faded?.(row.original) ? { className: "faded" } : {})}
            >
              {row.getAllCells().map((cell) => (
                <td key={cell.id} className={looks(cell.column.columnDef.meta)}>
                  <table.FlexRender cell={cell} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

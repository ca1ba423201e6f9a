import encodeQR from "qr";
import { type ReactNode, useMemo } from "react";

const BORDER = 4;

/** Return the dark modules of a QR code as one path, a stroke of the pen for each run of them, and its size. */
export function drawQr(text: string): { size: number; path: string } {
  const rows = encodeQR(text, "raw", { ecc: "medium", border: BORDER });
  const path = rows.map((row, y) =>
    row
      .map((dark, x) => {
        if (!dark || row[x - 1]) return "";
        const end = row.indexOf(false, x);
        return `M${x} ${y}h${(end < 0 ? row.length : end) - x}v1H${x}z`;
      })
      .join(""),
  );
  return { size: rows.length, path: path.join("") };
}

/** A QR code, drawn: dark on light in both schemes, because not every camera reads it the other way round. */
export function Qr({ text, label }: { text: string; label: string }): ReactNode {
  const { size, path } = useMemo(() => drawQr(text), [text]);
  return (
    <svg className="qr" viewBox={`0 0 ${size} ${size}`} role="img" aria-label={label} shapeRendering="crispEdges">
      <rect width={size} height={size} fill="#fff" />
      <path d={path} fill="#000" />
    </svg>
  );
}

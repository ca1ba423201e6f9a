import { type ReactNode, useEffect, useLayoutEffect, useRef, useState } from "react";
import { clock, count } from "../format";
import type { LogLine } from "../live";
import { Download } from "../parts/Download";

/** What a run says, line by line. */
export function RunLog({
  run,
  lines,
  dropped,
  over,
}: {
  run: string;
  lines: readonly LogLine[];
  dropped: number;
  over: boolean;
}): ReactNode {
  const frame = useRef<HTMLDivElement>(null);
  const stuck = useRef(true);
  const [moved, setMoved] = useState(false);
  // The view stays at the end unless the reader has scrolled up to read.
  // biome-ignore lint/correctness/useExhaustiveDependencies: new lines are what moves the end
  useLayoutEffect(() => {
    if (frame.current && stuck.current) frame.current.scrollTop = frame.current.scrollHeight;
  }, [lines]);
  useEffect(() => {
    const element = frame.current;
    if (!element) return;
    const look = () => {
      stuck.current = element.scrollHeight - element.scrollTop - element.clientHeight < 24;
      setMoved(!stuck.current);
    };
    element.addEventListener("scroll", look, { passive: true });
    return () => element.removeEventListener("scroll", look);
  }, []);
  return (
    <section className="panel" aria-labelledby="log">
      <div className="panel-head">
        <h2 id="log">Log</h2>
        <Download operation="run.log" question={{ id: run }}>
          Download
        </Download>
        {moved && !over ? (
          <button
            type="button"
            className="link"
            onClick={() => {
              if (frame.current) frame.current.scrollTop = frame.current.scrollHeight;
            }}
          >
            Follow the end
          </button>
        ) : (
          <span className="dim">{count(lines.length + dropped)} lines</span>
        )}
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region needs the focus to scroll by keyboard */}
      <div className="log" role="log" aria-labelledby="log" tabIndex={0} ref={frame}>
        {dropped > 0 ? (
          <p className="log-empty">{count(dropped)} earlier lines are not shown. “sluice logs” prints them all.</p>
        ) : null}
        {lines.length === 0 ? (
          <p className="log-empty">{over ? "The run said nothing." : "Nothing has been said yet."}</p>
        ) : null}
        {lines.map((line) => (
          <div key={line.seq} className={`log-line log-${line.level.toLowerCase().replace(/[^a-z]/g, "")}`}>
            <time dateTime={line.at}>{clock(line.at)}</time>
            <span className="log-level">{line.level}</span>
            <span>
              {line.step ? <span className="log-step">{line.step} </span> : null}
              {line.text}
            </span>
          </div>
        ))}
      </div>
    </section>
  );
}

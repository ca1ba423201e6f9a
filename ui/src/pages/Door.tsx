import { type ReactNode, useEffect } from "react";
import { Mark } from "../parts/Icon";

/** The page before the product: the mark at one side, one form at the other. */
export function Door({ title, children }: { title: string; children: ReactNode }): ReactNode {
  useEffect(() => {
    document.title = title === "Sluicegate" ? title : `${title} · Sluicegate`;
  }, [title]);
  return (
    <div className="door">
      <header className="door-side">
        <div className="door-brand">
          <Mark size={30} /> Sluicegate
        </div>
        <svg
          className="door-water"
          viewBox="0 0 600 400"
          preserveAspectRatio="none"
          aria-hidden="true"
          focusable="false"
        >
          <path
            d="M0 70c75 0 75-26 150-26s75 26 150 26 75-26 150-26 75 26 150 26v330H0z"
            fill="currentColor"
            opacity=".10"
          />
          <path
            d="M0 150c60 0 60-24 120-24s60 24 120 24 60-24 120-24 60 24 120 24 60-24 120-24v274H0z"
            fill="currentColor"
            opacity=".12"
          />
          <path
            d="M0 240c75 0 75-22 150-22s75 22 150 22 75-22 150-22 75 22 150 22v160H0z"
            fill="currentColor"
            opacity=".14"
          />
        </svg>
        <p className="door-note">What this browser keeps of your sign-in works in this browser alone.</p>
      </header>
      <main className="door-main">
        <div className="door-form">
          <h1>{title}</h1>
          {children}
        </div>
      </main>
    </div>
  );
}

/** Unsaved texts, kept in memory while the page lives, so that a look elsewhere loses no work. */
const texts = new Map<string, string>();

export const drafts = {
  read: (key: string): string | undefined => texts.get(key),
  /** Keep `text` as the draft under `key`; `undefined` lets it go. */
  keep: (key: string, text: string | undefined): void => {
    if (text === undefined) texts.delete(key);
    else texts.set(key, text);
  },
  clear: (): void => texts.clear(),
  any: (): boolean => texts.size > 0,
};

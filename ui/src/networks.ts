/** Return the networks in a text, one on each line or parted by commas or blanks. */
export function readNetworks(text: string): string[] {
  return [...new Set(text.split(/[\s,;]+/).filter(Boolean))];
}

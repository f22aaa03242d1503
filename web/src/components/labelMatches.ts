export interface LabelChoice {
  label: string;
  /** Its number key, if it has one. */
  number: number | null;
  /** Not among the project's labels yet. */
  isNew: boolean;
}

/** How well a label answers what was typed: 0 is best, null not at all. */
function rank(label: string, typed: string): number | null {
  const at = label.indexOf(typed);
  if (label === typed) return 0;
  if (at === 0) return 1;
  if (at > 0) return /[\s_-]/.test(label.charAt(at - 1)) ? 2 : 3;
  return null;
}

/** White space as the server keeps it. */
export function tidyLabel(typed: string): string {
  return typed.trim().replace(/\s+/g, " ");
}

/** The labels that what was typed may mean, best first, and at the end what was typed itself if it is a new one. */
export function labelMatches(typed: string, labels: readonly string[]): LabelChoice[] {
  const tidy = tidyLabel(typed);
  const found = labels
    .map((label, index) => ({ label, index, rank: rank(label.toLowerCase(), tidy.toLowerCase()) }))
    .filter((choice) => choice.rank !== null)
    .sort((a, b) => (a.rank ?? 0) - (b.rank ?? 0) || a.index - b.index)
    .map(({ label, index }) => ({ label, number: index < 9 ? index + 1 : null, isNew: false }));
  return tidy === "" || labels.includes(tidy) ? found : [...found, { label: tidy, number: null, isNew: true }];
}

/** A label in the dialog, and the labels of the project that it stands for: none for a new one. */
export interface LabelEdit {
  name: string;
  was: readonly string[];
}

export function labelEdits(labels: readonly string[]): LabelEdit[] {
  return labels.map((name) => ({ name, was: [name] }));
}

/** The labels with one of them under another name; where another one is called that, the two become one, in its place. */
export function withName(labels: readonly LabelEdit[], index: number, name: string): LabelEdit[] {
  const edited = labels[index];
  const other = labels.findIndex((label, i) => label.name === name && i !== index);
  if (!edited || name === "" || name === edited.name) return [...labels];
  if (other < 0) return labels.with(index, { ...edited, name });
  const joined = labels.map((label, i) => (i === other ? { name, was: [...label.was, ...edited.was] } : label));
  return joined.toSpliced(index, 1);
}

/** From the names of labels to the new ones of those that get one. */
export function renames(labels: readonly LabelEdit[]): Map<string, string> {
  const all = labels.flatMap(({ name, was }) => was.map((before) => [before, name] as const));
  return new Map(all.filter(([before, name]) => before !== name));
}

/** The first name that goes from one label to another, which takes two steps. */
export function exchanged(labels: readonly LabelEdit[]): string | null {
  const renamed = renames(labels);
  return labels.find(({ name }) => renamed.has(name))?.name ?? null;
}

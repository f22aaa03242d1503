import type { Change, ChangeResult, ObjectState } from "../api/types";
import type { Resolution, Waiting } from "./outbox";

/** Changes of an object that the server did not take. */
export interface Refused {
  /** The group in which they are set aside. */
  group: string;
  changes: number;
}

/** What the server's answer to changes means for what waits, and for the page. */
export interface Verdict extends Resolution {
  /** Objects that are not on the server as the page believed, so that the picture must be read again. */
  elsewhere: readonly string[];
  /** The object that keeps the page's mask beside one that was changed elsewhere, by the latter's id. */
  copies: ReadonlyMap<string, string>;
  /** What was refused, by object. */
  refused: ReadonlyMap<string, Refused>;
  /** What to tell the person, a sentence each. */
  notices: readonly string[];
}

/**
 * Judge the server's results.
 *
 * - What is stored needs no sending any more.
 * - A change that is refused is set aside, and those of the object after it are numbered anew, as if it had never been.
 * - Where an object was changed elsewhere, this page's mask of it, if it is another one, is kept as a new object; what else
 *   this page did to it, and nobody there, is set aside.
 *
 * @param waiting - all changes of the picture that wait, in their order, those that were sent among them.
 * @param colors - how many colours the palette has.
 */
export function judge(waiting: readonly Waiting[], results: readonly ChangeResult[], colors: number): Verdict {
  const byChange = new Map(results.map((result) => [result.change, result]));
  const refused = new Map<string, Refused>();
  const conflicts = new Map<string, { current: ObjectState | null; mine: Waiting[] }>();
  const done: Waiting[] = [];
  const rewritten: Waiting[] = [];
  const aside: Resolution["aside"][number][] = [];
  const notices = new Set<string>();
  const groupOf = ({ change, group }: Waiting) =>
    group ?? aside.find((other) => other.change.state.id === change.state.id)?.group ?? change.id;
  const put = (entry: Waiting, reason: string) => {
    const { project, picture, change } = entry;
    aside.push({ project, picture, change, reason, group: groupOf(entry) });
    done.push(entry);
  };

  for (const entry of waiting) {
    const { state } = entry.change;
    const result = byChange.get(entry.change.id);
    const before = refused.get(state.id)?.changes ?? 0;
    if (result?.outcome === "stored" || result?.outcome === "known") {
      done.push(entry);
    } else if (result?.outcome === "refused") {
      const reason = result.reason ?? "The server gave no reason.";
      put(entry, reason);
      refused.set(state.id, { group: groupOf(entry), changes: before + 1 });
      notices.add(`A change could not be saved, and is taken back and set aside: ${reason}`);
    } else if (before > 0) {
      const change = withoutVersions(entry.change, before);
      rewritten.push({ ...entry, change, group: groupOf(entry) });
    } else if (conflicts.has(state.id)) {
      conflicts.get(state.id)?.mine.push(entry);
    } else if (result?.outcome === "conflict") {
      conflicts.set(state.id, { current: result.current, mine: [entry] });
    }
  }

  const added: Change[] = [];
  const copies = new Map<string, string>();
  for (const [object, { current, mine }] of conflicts) {
    const last = mine.at(-1)?.change;
    if (!last) continue;
    if (differs(last.state, current)) {
      done.push(...mine);
      const copy = { ...last.state, id: crypto.randomUUID(), version: 1, color: (last.state.color + 1) % colors };
      added.push({ id: crypto.randomUUID(), at: last.at, action: "keep", state: copy });
      copies.set(object, copy.id);
      notices.add(
        "An object was changed elsewhere meanwhile: it is shown as it is there, and your mask is kept beside it.",
      );
    } else {
      const shown = "An object was changed elsewhere meanwhile: it is shown as it is there";
      if (isMissing(last.state, current)) {
        for (const entry of mine) put(entry, "The object was changed elsewhere meanwhile.");
        notices.add(`${shown}, and what you did to it is set aside.`);
      } else {
        done.push(...mine);
        notices.add(`${shown}.`);
      }
    }
  }
  const elsewhere = [...refused.keys(), ...conflicts.keys()];
  return { done, rewritten, added, aside, elsewhere, copies, refused, notices: [...notices] };
}

/** A change as it is numbered where some changes of its object before it had never been. */
export function withoutVersions(change: Change, count: number): Change {
  return { ...change, state: { ...change.state, version: change.state.version - count } };
}

function differs(mine: ObjectState, current: ObjectState | null): boolean {
  return mine.status === "present" && (current?.status !== "present" || current.counts !== mine.counts);
}

/** What a person decides about an object; the rest follows from it. */
const DECIDED = ["status", "counts", "label", "color", "visible", "order"] as const;

/** Whether something that was decided here would be nowhere, were it not kept. */
function isMissing(mine: ObjectState, current: ObjectState | null): boolean {
  if (current === null || (mine.status !== "present" && current.status !== "present")) return false;
  return DECIDED.some((name) => mine[name] !== current[name]);
}

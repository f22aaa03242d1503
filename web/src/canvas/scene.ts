import type { ObjectState } from "../api/types";
import type { Preview } from "../decoder/decoder";
import { boxBetween } from "../geometry/boxes";
import { nextColor } from "../geometry/colors";
import type { Rings, Size } from "../geometry/shapes";
import type { Session, StudioState } from "../session/session";
import { selectedObject } from "../tools/clicks";
import type { Hand } from "../tools/hand";
import type { InteractionScene } from "./interactionLayer";
import { objectLook, PROPOSAL_LOOK } from "./look";
import type { MaskItem } from "./objectsLayer";

/** Of a project that names no colours. */
const ONLY_COLOR = "#3b82f6";
const NO_RINGS: Rings = [];

function colorOf(state: StudioState, color: number): string {
  const palette = state.project?.palette ?? [];
  return palette[color % Math.max(palette.length, 1)] ?? ONLY_COLOR;
}

/** The colour that a new object would get. */
function colorToCome(state: StudioState): string {
  const used = state.objects.map((object) => object.color);
  return colorOf(state, nextColor(used, state.project?.palette.length ?? 1));
}

/** What rests on the picture: proposals where they are asked for, and above them all objects but the selected one. */
export function maskItems(session: Session, state: StudioState): MaskItem[] {
  if (state.masksHidden) return [];
  const proposals = state.tool === "everything" ? (state.proposals ?? []) : [];
  const objects = state.objects.filter((object) => object.visible && object.id !== state.selected);
  return [
    ...proposals.map((proposal) => ({
      id: proposal.id,
      counts: proposal.counts,
      look: PROPOSAL_LOOK,
      rings: () => session.outlineOfProposal(proposal),
    })),
    ...objects.map((object) => ({
      id: object.id,
      counts: object.counts,
      look: objectLook(colorOf(state, object.color)),
      rings: () => session.outline(object),
    })),
  ];
}

/** Whether two states may differ in what rests on the picture. */
export function sameMasks(a: StudioState, b: StudioState): boolean {
  return (
    a.objects === b.objects &&
    a.selected === b.selected &&
    a.masksHidden === b.masksHidden &&
    a.tool === b.tool &&
    a.proposals === b.proposals &&
    a.project === b.project
  );
}

/** Whether two states show the same preview for a pointer that rests. */
export function samePointing(a: StudioState, b: StudioState): boolean {
  return a.tool === b.tool && a.selected === b.selected && a.embedding === b.embedding && a.decoder === b.decoder;
}

/**
 * What the top layer shows.
 *
 * @param picture - its size; null while none is shown.
 */
export function interactionScene(
  session: Session,
  state: StudioState,
  picture: Size | null,
  preview: Preview | null,
  hand: Pick<Hand, "marked" | "dragged">,
): InteractionScene {
  const selected = selectedObject(state);
  const rings = (object: ObjectState) => (object.visible && !state.masksHidden ? session.outline(object) : NO_RINGS);
  const marked = state.objects.find((object) => object.id === state.marked && object.id !== state.selected);
  const proposal =
    state.tool === "everything" && state.proposals?.find((candidate) => candidate.id === state.hoveredProposal);
  return {
    preview: preview && { rings: preview.rings, color: colorToCome(state) },
    selected: selected && {
      rings: rings(selected),
      color: colorOf(state, selected.color),
      clicks: selected.prompts?.clicks ?? [],
      box: selected.prompts?.box ?? null,
    },
    markedClick: hand.marked.click && hand.marked.click.object === selected?.id ? hand.marked.click.index : null,
    marked: marked ? { rings: rings(marked), color: colorOf(state, marked.color) } : null,
    proposal: proposal ? { rings: session.outlineOfProposal(proposal), color: colorToCome(state) } : null,
    box: picture && hand.dragged && boxBetween(hand.dragged.from, hand.dragged.to, picture),
    waiting: state.waiting,
  };
}

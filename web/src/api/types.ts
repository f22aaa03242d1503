export type Status = "present" | "deleted" | "rejected";
export type Source = "assisted" | "automatic" | "imported" | "manual";
/** (x0, y0, x1, y1) in pixels of the picture. */
export type Box = [number, number, number, number];

export interface Click {
  x: number;
  y: number;
  positive: boolean;
}

export interface Prompts {
  clicks: Click[];
  box: Box | null;
  /** Which of the three readings of a lone click: 0 the smallest, 2 the largest; null the model's best, or only one. */
  choice: number | null;
  /** Run lengths of the mask that the first step refines. */
  base: string | null;
}

export interface ObjectState {
  id: string;
  version: number;
  status: Status;
  counts: string;
  prompts: Prompts | null;
  label: string | null;
  color: number;
  visible: boolean;
  order: number;
  score: number | null;
  source: Source;
  finished: boolean;
  model: string | null;
}

export interface Change {
  id: string;
  at: string;
  action: string;
  state: ObjectState;
}

export type Outcome = "stored" | "known" | "conflict" | "refused";

export interface ChangeResult {
  change: string;
  outcome: Outcome;
  current: ObjectState | null;
  reason: string | null;
}

export interface DecoderFiles {
  image: string;
  click: string;
  refine: string;
}

export interface DecoderState {
  state: "preparing" | "ready" | "failed";
  files: DecoderFiles | null;
  reason: string | null;
}

export interface Model {
  name: string;
  fingerprint: string;
  input_side: number;
  logits_side: number;
  embedding_shape: [number, number, number, number];
  mask_threshold: number;
}

export interface Project {
  /** Tells this project from others that were served at the same address. */
  id: string;
  name: string;
  pictures: number;
  /** Null while it is being loaded; there before the decoder is ready. */
  model: Model | null;
  decoder: DecoderState;
  labels: string[];
  palette: string[];
}

export interface Picture {
  id: number;
  name: string;
  width: number | null;
  height: number | null;
  objects: number;
  error: string | null;
}

export interface PicturePage {
  total: number;
  pictures: Picture[];
}

export interface OpenPicture {
  picture: Picture;
  objects: ObjectState[];
}

export interface Proposal {
  id: string;
  counts: string;
  score: number;
  stability: number;
  area: number;
  point: [number, number];
}

export interface Proposals {
  state: "waiting" | "ready";
  model: string;
  masks: Proposal[];
}

export interface FormatChoice {
  name: string;
  description: string;
  is_folder: boolean;
}

export interface Imported {
  masks: number;
  known: number;
  other_images: number;
  reasons: string[];
}

export interface ServerStatus {
  /** The id of the project. */
  project: string;
  encoding: string[];
  waiting: number;
  encoded: number;
  decoder: DecoderState;
}

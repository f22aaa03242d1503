import type { components } from "./schema";

// schema.d.ts is made from the server's own description of its messages: see `npm run api` and docs/studio.md.
type Schemas = components["schemas"];

export type Status = Schemas["Status"];
export type Source = Schemas["Source"];
/** (x0, y0, x1, y1) in pixels of the picture. */
export type Box = [number, number, number, number];
export type Click = Schemas["Click"];
export type Prompts = Schemas["Prompts"];
export type ObjectState = Schemas["ObjectState"];
export type Change = Schemas["Change"];
export type Changes = Schemas["Changes"];
export type Outcome = Schemas["Outcome"];
export type ChangeResult = Schemas["ChangeResult"];
export type ChangeResults = Schemas["ChangeResults"];
export type DecoderFiles = Schemas["DecoderFiles"];
export type DecoderState = Schemas["Decoder"];
export type Model = Schemas["Model"];
export type Project = Schemas["Project"];
export type Picture = Schemas["Picture"];
export type PicturePage = Schemas["PicturePage"];
export type OpenPicture = Schemas["OpenPicture"];
export type Proposal = Schemas["Proposal"];
export type Proposals = Schemas["Proposals"];
export type UnusableFiles = Schemas["UnusableFiles"];
export type Labels = Schemas["Labels"];
export type FormatChoice = Schemas["FormatChoice"];
export type Imported = Schemas["Imported"];
export type ServerStatus = Schemas["ServerStatus"];
export type Problem = Schemas["Problem"];

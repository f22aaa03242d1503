/** How patient a session is, in milliseconds. */
export interface Timing {
  /** Until changes are sent again after the first, second, … failure; the last is for all later ones. */
  sending: readonly number[];
  /** Until anything else is asked again that the server was not there for. */
  connection: number;
  /** Between questions how the server is while something is expected of it. */
  statusSoon: number;
  /** The same while nothing is. */
  statusLate: number;
  /** Until a picture at which nobody works counts as idle. */
  idle: number;
}

export const TIMING: Timing = {
  sending: [1000, 2000, 4000, 8000, 15_000, 30_000],
  connection: 2000,
  statusSoon: 2000,
  statusLate: 10_000,
  idle: 2000,
};

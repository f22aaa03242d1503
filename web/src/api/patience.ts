import { NetworkError } from "./request";

/** Wait for some milliseconds; rejects with the signal's reason once that is aborted. */
export function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason as Error);
    };
    if (signal?.aborted) {
      reject(signal.reason as Error);
      return;
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    signal?.addEventListener("abort", stop, { once: true });
  });
}

/**
 * Ask again and again until the server can be reached; what it refuses is not asked again.
 *
 * @param delay - milliseconds between two questions.
 * @param isWanted - asked before each question; null is returned once the answer is not wanted any more.
 */
export async function untilReached<T>(
  question: () => Promise<T>,
  delay: number,
  signal: AbortSignal,
  isWanted: () => boolean,
): Promise<T | null>;
export async function untilReached<T>(question: () => Promise<T>, delay: number, signal: AbortSignal): Promise<T>;
export async function untilReached<T>(
  question: () => Promise<T>,
  delay: number,
  signal: AbortSignal,
  isWanted = () => true,
): Promise<T | null> {
  while (isWanted()) {
    try {
      return await question();
    } catch (error) {
      if (signal.aborted || !(error instanceof NetworkError)) throw error;
      await pause(delay, signal);
    }
  }
  return null;
}

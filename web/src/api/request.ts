/** The server answered, and refused. The message is the server's sentence. */
export class ApiError extends Error {
  override readonly name = "ApiError";

  constructor(
    readonly status: number,
    readonly detail: string,
  ) {
    super(detail);
  }
}

/** The server cannot be reached, or did not answer in time. */
export class NetworkError extends Error {
  override readonly name = "NetworkError";
}

export interface RequestOptions {
  method?: "GET" | "POST" | "PUT";
  headers?: Record<string, string>;
  body?: BodyInit | null;
  signal?: AbortSignal | undefined;
  /** Milliseconds until the answer begins; null waits as long as the connection holds. */
  timeout?: number | null;
  /** Refusals that are returned instead of thrown, if they say when to try again (Retry-After). */
  accept?: readonly number[];
}

/**
 * Ask the server.
 *
 * @throws ApiError where the server refuses.
 * @throws NetworkError where there is no answer.
 */
export async function request(
  url: string,
  { method = "GET", headers = {}, body = null, signal, timeout = 60_000, accept = [] }: RequestOptions = {},
): Promise<Response> {
  const patience = new AbortController();
  const timer = timeout === null ? undefined : setTimeout(() => patience.abort(), timeout);
  const signals = signal ? [signal, patience.signal] : [patience.signal];
  let response: Response;
  try {
    response = await fetch(url, { method, headers, body, signal: AbortSignal.any(signals) });
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    const why = patience.signal.aborted ? "does not answer" : "cannot be reached";
    throw new NetworkError(`The studio's server ${why}.`, { cause: error });
  } finally {
    clearTimeout(timer);
  }
  if (response.ok || (accept.includes(response.status) && response.headers.has("Retry-After"))) return response;
  throw new ApiError(response.status, await sentence(response));
}

/** The server's own words, or what its status means where something else answered in its place. */
async function sentence(response: Response): Promise<string> {
  try {
    const problem: unknown = await response.json();
    if (typeof problem === "object" && problem !== null && "detail" in problem && typeof problem.detail === "string") {
      return problem.detail;
    }
  } catch {
    // Not the studio's JSON.
  }
  return `The studio's server answered with status ${response.status} ${response.statusText}`.trim() + ".";
}

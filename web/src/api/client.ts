import type {
  Change,
  ChangeResult,
  FormatChoice,
  Imported,
  OpenPicture,
  PicturePage,
  Project,
  Proposals,
  ServerStatus,
  UnusableFiles,
} from "./types";
import { pause } from "./patience";
import { NetworkError, request } from "./request";

export { ApiError, NetworkError } from "./request";

/** How soon the server should see to a picture: the one that a person looks at, or one that comes soon. */
export type Priority = "current" | "next";

/** A picture's embedding, float16 as served, and the fingerprint of the model that made it. */
export interface Embedding {
  data: ArrayBuffer;
  model: string | null;
}

/** A file that the server made. */
export interface Download {
  name: string;
  content: Blob;
  /** What the format could not hold, a sentence each. */
  losses: string[];
}

/**
 * The studio's server. All of it rejects with {@link ApiError} where the server refuses, with {@link NetworkError} where
 * it cannot be reached or does not answer, and with the signal's reason once that is aborted.
 *
 * What changes something names the project it is meant for, as another folder may be served at the address by now.
 */
export interface Api {
  project(signal?: AbortSignal): Promise<Project>;
  status(signal?: AbortSignal): Promise<ServerStatus>;
  pictures(offset: number, limit: number, signal?: AbortSignal): Promise<PicturePage>;
  openPicture(picture: number, signal?: AbortSignal): Promise<OpenPicture>;
  imageUrl(picture: number): string;
  thumbnailUrl(picture: number): string;
  /**
   * A picture's pixels, as a file; null if it has more than `most` bytes. While the server is away, what the browser may
   * have kept of it.
   */
  image(picture: number, most: number, signal?: AbortSignal): Promise<Blob | null>;
  /** Waits until the server has made it, asking again as long as that takes. */
  embedding(picture: number, priority: Priority, signal?: AbortSignal): Promise<Embedding>;
  /** Waits up to `wait` seconds for them. */
  proposals(picture: number, wait: number, signal?: AbortSignal): Promise<Proposals>;
  sendChanges(
    project: string,
    picture: number,
    changes: readonly Change[],
    signal?: AbortSignal,
  ): Promise<ChangeResult[]>;
  /**
   * Make these the labels, in this order.
   *
   * @param renamed - from old names to names among `labels`, on all objects that have them.
   */
  putLabels(
    project: string,
    labels: readonly string[],
    renamed: ReadonlyMap<string, string>,
    signal?: AbortSignal,
  ): Promise<string[]>;
  /** Files that look like pictures and cannot be used. */
  unusable(signal?: AbortSignal): Promise<UnusableFiles>;
  formats(signal?: AbortSignal): Promise<FormatChoice[]>;
  /** All pictures where none is given. */
  exportFile(
    format: string,
    choice: { withPictures: boolean; pictures: readonly number[] },
    signal?: AbortSignal,
  ): Promise<Download>;
  /** The format is known by the file's name where none is given. */
  importFile(project: string, file: File, format: string | null, signal?: AbortSignal): Promise<Imported>;
}

const LONG_POLL_SECONDS = 20;
const SECOND = 1000;

/** Connect to the server at `base`, by default the one that served the page. */
export function createApi(base = ""): Api {
  const address = (path: string) => `${base}/api/${path}`;

  async function json<T>(path: string, options: Parameters<typeof request>[1] = {}): Promise<T> {
    const response = await request(address(path), options);
    return (await body(response, (r) => r.json())) as T;
  }

  function send<T>(method: "POST" | "PUT", path: string, project: string, content: unknown, signal?: AbortSignal) {
    const headers = { "Content-Type": "application/json", "X-Anymask-Project": project };
    return json<T>(path, { method, headers, body: JSON.stringify(content), signal, timeout: 30 * SECOND });
  }

  return {
    project: (signal) => json("project", { signal }),
    status: (signal) => json("status", { signal, timeout: 10 * SECOND }),
    pictures: (offset, limit, signal) => json(`pictures?offset=${offset}&limit=${limit}`, { signal }),
    openPicture: (picture, signal) => json(`pictures/${picture}`, { signal }),
    imageUrl: (picture) => address(`pictures/${picture}/image`),
    thumbnailUrl: (picture) => address(`pictures/${picture}/thumbnail`),

    async image(picture, most, signal) {
      const url = address(`pictures/${picture}/image`);
      const response = await request(url, { signal, timeout: null }).catch(async (error: unknown) => {
        const kept = error instanceof NetworkError ? await keptByBrowser(url, signal) : null;
        if (!kept) throw error;
        return kept;
      });
      if (Number(response.headers.get("Content-Length")) > most) {
        await response.body?.cancel();
        return null;
      }
      return body(response, (r) => r.blob());
    },

    async embedding(picture, priority, signal) {
      const path = `pictures/${picture}/embedding?priority=${priority}&wait=${LONG_POLL_SECONDS}`;
      for (;;) {
        const response = await request(address(path), { signal, timeout: null, accept: [503] });
        if (response.ok) {
          return { data: await body(response, (r) => r.arrayBuffer()), model: response.headers.get("X-Anymask-Model") };
        }
        await pause(Number(response.headers.get("Retry-After")) * SECOND, signal);
      }
    },

    proposals: (picture, wait, signal) =>
      json(`pictures/${picture}/proposals?wait=${wait}`, { signal, timeout: (wait + 60) * SECOND }),

    async sendChanges(project, picture, changes, signal) {
      const path = `pictures/${picture}/changes`;
      const { results } = await send<{ results: ChangeResult[] }>("POST", path, project, { changes }, signal);
      return results;
    },

    async putLabels(project, labels, renamed, signal) {
      return (
        await send<{ labels: string[] }>(
          "PUT",
          "labels",
          project,
          { labels, renamed: Object.fromEntries(renamed) },
          signal,
        )
      ).labels;
    },

    unusable: (signal) => json("unusable", { signal }),

    formats: (signal) => json("formats", { signal }),

    async exportFile(format, { withPictures, pictures }, signal) {
      const query = new URLSearchParams({ format, with_pictures: String(withPictures) });
      for (const picture of pictures) query.append("picture", String(picture));
      const response = await request(address(`export?${query}`), { signal, timeout: null });
      const losses = response.headers.get("X-Anymask-Losses");
      return {
        name: fileName(response.headers.get("Content-Disposition")) ?? format,
        losses: losses === null ? [] : (JSON.parse(losses) as string[]),
        content: await body(response, (r) => r.blob()),
      };
    },

    importFile(project, file, format, signal) {
      const query = new URLSearchParams({ name: file.name, ...(format === null ? {} : { format }) });
      const headers = { "Content-Type": "application/octet-stream", "X-Anymask-Project": project };
      return json(`import?${query}`, { method: "POST", headers, body: file, signal, timeout: null });
    },
  };
}

/** What the browser's cache has of an address, without asking whether it is still right. */
async function keptByBrowser(url: string, signal: AbortSignal | undefined): Promise<Response | null> {
  const kept = await fetch(url, { cache: "only-if-cached", mode: "same-origin", signal: signal ?? null }).catch(
    () => null,
  );
  return kept?.ok ? kept : null;
}

/** Read an answer's content, in which a connection may still break. */
async function body<T>(response: Response, read: (response: Response) => Promise<T>): Promise<T> {
  try {
    return await read(response);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new NetworkError("The answer of the studio's server broke off.", { cause: error });
  }
}

function fileName(disposition: string | null): string | null {
  if (disposition === null) return null;
  const extended = /filename\*=(?:utf-8|UTF-8)''([^;]+)/.exec(disposition)?.[1];
  if (extended !== undefined) return decodeURIComponent(extended);
  return /filename="?([^";]+)"?/.exec(disposition)?.[1] ?? null;
}

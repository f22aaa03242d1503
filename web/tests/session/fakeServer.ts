import { ApiError, NetworkError, type Api, type Priority } from "../../src/api/client";
import type { Change, ChangeResult, ObjectState, Picture, Project, Proposal } from "../../src/api/types";

export const SIZE = { width: 40, height: 30 };
export const PROJECT = "project-1";
export const MODEL = "model-1";

/** A server in memory with the rules of the real one. */
export class FakeServer {
  project = PROJECT;
  isLost = false;
  /** Pictures whose embedding has been made; null for all. */
  encoded: Set<number> | null = null;
  /** Pictures that cannot be encoded. */
  broken = new Set<number>();
  decoder: Project["decoder"] = {
    state: "ready",
    files: { image: "image.onnx", click: "click.onnx", refine: "refine.onnx" },
    reason: null,
  };
  labels: string[] = [];
  proposals: Proposal[] | null = [];
  readonly pictures: Picture[];
  readonly objects = new Map<number, Map<string, ObjectState>>();
  /** Each change that was stored, in its order. */
  readonly log: { picture: number; change: Change }[] = [];
  /** Each request that came through, such as "embedding 3 next". */
  readonly requests: string[] = [];
  readonly openRequests = new Set<string>();
  /** Called before changes are stored; may throw, or wait. */
  beforeStoring: ((changes: readonly Change[]) => Promise<void> | void) | null = null;
  /** Called once changes are stored; may throw, as if the answer were lost. */
  afterStoring: (() => Promise<void> | void) | null = null;
  /** What the list says of all pictures, whatever is true. */
  listedAs: Partial<Picture> = {};
  beforeOpening: (() => Promise<void> | void) | null = null;
  /** Why a change can never be stored, if it cannot. */
  refuse: (change: Change) => string | null = () => null;

  constructor(pictures = 3) {
    this.pictures = Array.from({ length: pictures }, (_, i) => ({
      id: i + 1,
      name: `photo-${i + 1}.jpg`,
      ...SIZE,
      objects: 0,
      error: null,
    }));
  }

  /** A picture's objects that are there, in their order. */
  present(picture: number): ObjectState[] {
    return this.all(picture).filter((object) => object.status === "present");
  }

  all(picture: number): ObjectState[] {
    return [...(this.objects.get(picture)?.values() ?? [])].sort((a, b) => a.order - b.order || (a.id < b.id ? -1 : 1));
  }

  /** Change an object as another browser would. */
  put(picture: number, state: ObjectState): void {
    const objects = this.objects.get(picture) ?? new Map<string, ObjectState>();
    objects.set(state.id, state);
    this.objects.set(picture, objects);
  }

  store(picture: number, change: Change): ChangeResult {
    const nothing = { change: change.id, current: null, reason: null };
    if (this.log.some((entry) => entry.change.id === change.id)) return { ...nothing, outcome: "known" };
    const current = this.objects.get(picture)?.get(change.state.id) ?? null;
    const reason = this.refuse(change);
    if (change.state.version !== (current?.version ?? 0) + 1) return { ...nothing, outcome: "conflict", current };
    if (reason !== null) return { ...nothing, outcome: "refused", reason };
    this.put(picture, change.state);
    this.log.push({ picture, change });
    return { ...nothing, outcome: "stored" };
  }

  readonly api: Api = {
    project: () =>
      this.#answer("project", () => ({
        id: this.project,
        name: "photos",
        pictures: this.pictures.length,
        unusable: 0,
        model: {
          name: "pocket",
          fingerprint: MODEL,
          input_side: 512,
          logits_side: 128,
          embedding_shape: [1, 256, 32, 32],
          mask_threshold: 0,
        },
        decoder: this.decoder,
        labels: this.labels,
        palette: ["#111111", "#222222", "#333333"],
      })),
    status: () =>
      this.#answer("status", () => ({
        project: this.project,
        encoding: [],
        waiting: 0,
        encoded: this.encoded?.size ?? this.pictures.length,
        decoder: this.decoder,
      })),
    pictures: (offset, limit) =>
      this.#answer(`pictures ${offset}`, () => ({
        total: this.pictures.length,
        pictures: this.pictures.slice(offset, offset + limit).map((picture) => ({
          ...picture,
          ...(this.requests.some((request) => this.#showsSize(request, picture.id))
            ? {}
            : { width: null, height: null }),
          objects: this.present(picture.id).length,
          ...this.listedAs,
        })),
      })),
    openPicture: (id) =>
      this.#answer(`open ${id}`, async () => {
        const picture = this.pictures.find((candidate) => candidate.id === id);
        if (!picture) throw new ApiError(404, `There is no picture ${id}.`);
        const objects = this.all(id);
        await this.beforeOpening?.();
        return structuredClone({ picture: { ...picture, objects: this.present(id).length }, objects });
      }),
    imageUrl: (id) => `image/${id}`,
    thumbnailUrl: (id) => `thumbnail/${id}`,
    image: (id) => this.#answer(`image ${id}`, () => new Blob([`pixels of ${id}`])),
    embedding: (id, priority: Priority, signal) =>
      this.#answer(`embedding ${id} ${priority}`, async () => {
        if (this.broken.has(id)) throw new ApiError(422, "The file is damaged.");
        while (this.encoded !== null && !this.encoded.has(id)) {
          await new Promise((resolve) => setTimeout(resolve, 1));
          if (signal?.aborted) throw signal.reason;
          if (this.isLost) throw new NetworkError("lost");
        }
        return { data: new ArrayBuffer(8), model: MODEL };
      }),
    proposals: (id, _wait, signal) =>
      this.#answer(`proposals ${id}`, async () => {
        await new Promise((resolve) => setTimeout(resolve, 1));
        if (signal?.aborted) throw signal.reason;
        return { state: this.proposals ? "ready" : "waiting", model: MODEL, masks: this.proposals ?? [] };
      }),
    sendChanges: (project, picture, changes) =>
      this.#answer(`changes ${picture} ${changes.length}`, async () => {
        await this.beforeStoring?.(changes);
        if (project !== this.project) throw new ApiError(409, "Another project is served here.");
        const results = structuredClone([...changes]).map((change) => this.store(picture, change));
        await this.afterStoring?.();
        return structuredClone(results);
      }),
    putLabels: (_project, labels, renamed) =>
      this.#answer("labels", () => {
        for (const objects of this.objects.values()) {
          for (const [id, object] of objects) {
            const label = renamed.get(object.label ?? "");
            if (label !== undefined) objects.set(id, { ...object, label, version: object.version + 1 });
          }
        }
        return (this.labels = [...labels]);
      }),
    unusable: () => Promise.reject(new Error("Not part of a session.")),
    formats: () => this.#answer("formats", () => []),
    exportFile: () => Promise.reject(new Error("Not part of a session.")),
    importFile: () => Promise.reject(new Error("Not part of a session.")),
  };

  /** Whether the server had to read a picture for a request. */
  #showsSize(request: string, picture: number): boolean {
    return request === `open ${picture}` || request.startsWith(`embedding ${picture} `);
  }

  async #answer<T>(request: string, work: () => Promise<T> | T): Promise<T> {
    await Promise.resolve();
    if (this.isLost) throw new NetworkError("The studio's server cannot be reached.");
    this.requests.push(request);
    this.openRequests.add(request);
    try {
      return await work();
    } finally {
      this.openRequests.delete(request);
    }
  }
}

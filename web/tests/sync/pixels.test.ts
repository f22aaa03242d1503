import { describe, expect, it } from "vitest";
import { ApiError, NetworkError } from "../../src/api/client";
import { LARGEST_AHEAD, Pixels } from "../../src/sync/pixels";

/** Files as a server has them, given when the test says so. */
class Server {
  readonly asked: string[] = [];
  isLost = false;
  refused = new Set<number>();
  large = new Set<number>();
  #waiting: (() => void)[] = [];

  readonly api = {
    image: async (picture: number, most: number, signal?: AbortSignal): Promise<Blob | null> => {
      this.asked.push(most === Infinity ? `${picture}` : `${picture} ahead`);
      await new Promise<void>((resolve, reject) => {
        this.#waiting.push(resolve);
        signal?.addEventListener("abort", () => {
          this.asked.push(`${picture} stopped`);
          reject(signal.reason as Error);
        });
      });
      if (this.isLost) throw new NetworkError("lost");
      if (this.refused.has(picture)) throw new ApiError(422, "It is damaged.");
      return this.large.has(picture) && most < Infinity ? null : new Blob([`pixels of ${picture}`]);
    },
  };

  /** Answer what is asked, and what is asked then, so many times. */
  async answer(times = 5): Promise<void> {
    for (let turn = 0; turn < times; turn++) {
      for (const resolve of this.#waiting.splice(0)) resolve();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

function start() {
  const server = new Server();
  const pixels = new Pixels({ api: server.api, retryDelay: 1 });
  const get = async (picture: number) => {
    const asked = pixels.get(picture, new AbortController().signal);
    asked.catch(() => undefined);
    await server.answer();
    return (await asked).text();
  };
  return { server, pixels, get };
}

describe("the files of pictures", () => {
  it("are fetched ahead, one after the other, and then there without the server", async () => {
    const { server, pixels, get } = start();
    pixels.want({ now: [1], soon: [2, 3] });
    expect(server.asked).toEqual(["2 ahead"]);
    await server.answer();
    expect(server.asked).toEqual(["2 ahead", "3 ahead"]);
    server.isLost = true;
    expect([pixels.has(1), pixels.has(2), pixels.has(3)]).toEqual([false, true, true]);
    expect(await get(2)).toBe("pixels of 2");
    expect(await get(3)).toBe("pixels of 3");
    await expect(get(1)).rejects.toThrow(NetworkError);
  });

  it("are held as long as they are shown or next", async () => {
    const { server, pixels, get } = start();
    pixels.want({ now: [1], soon: [2] });
    await get(1);
    await server.answer();
    pixels.want({ now: [2], soon: [3, 1] });
    await server.answer();
    pixels.want({ now: [3, 1], soon: [4, 2] });
    await server.answer();
    expect([1, 2, 3, 4].map((picture) => pixels.has(picture))).toEqual([false, true, true, true]);
    expect(server.asked).toEqual(["2 ahead", "1", "3 ahead", "4 ahead"]);
  });

  it("are waited for where they are on their way", async () => {
    const { server, pixels, get } = start();
    pixels.want({ now: [1], soon: [2] });
    pixels.want({ now: [2], soon: [] });
    expect(await get(2)).toBe("pixels of 2");
    expect(server.asked).toEqual(["2 ahead"]);
  });

  it("are given up where they are not next any more", async () => {
    const { server, pixels } = start();
    pixels.want({ now: [1], soon: [2] });
    pixels.want({ now: [7], soon: [8] });
    await server.answer();
    expect(server.asked).toEqual(["2 ahead", "2 stopped", "8 ahead"]);
    pixels.close();
  });

  it("are not held where they are large or refused, but those after them are", async () => {
    const { server, pixels, get } = start();
    server.large.add(2);
    server.refused.add(3);
    pixels.want({ now: [1], soon: [2, 3, 4] });
    await server.answer();
    expect(server.asked).toEqual(["2 ahead", "3 ahead", "4 ahead"]);
    expect([2, 3, 4].map((picture) => pixels.has(picture))).toEqual([false, false, true]);
    expect(await get(2)).toBe("pixels of 2");
    await expect(get(3)).rejects.toThrow("It is damaged.");
  });

  it("are shown but not held where nobody knew that they are large", async () => {
    const large = new Blob([new Uint8Array(LARGEST_AHEAD + 1)]);
    const pixels = new Pixels({ api: { image: () => Promise.resolve(large) }, retryDelay: 1 });
    pixels.want({ now: [1], soon: [] });
    expect(await pixels.get(1, new AbortController().signal)).toBe(large);
    expect(pixels.has(1)).toBe(false);
  });

  it("are asked for again until the server is there", async () => {
    const { server, pixels } = start();
    server.isLost = true;
    pixels.want({ now: [1], soon: [2] });
    await server.answer(1);
    await server.answer(1);
    expect(server.asked.length).toBeGreaterThan(1);
    expect(pixels.has(2)).toBe(false);
    server.isLost = false;
    await server.answer();
    expect(pixels.has(2)).toBe(true);
  });
});

import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { ApiError, createApi, NetworkError, type Api } from "../../src/api/client";

const servers: Server[] = [];

/** A server on loopback that answers by `listener`. */
async function serve(listener: RequestListener): Promise<Api> {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return createApi(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
}

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

test("a refusal carries the server's own sentence", async () => {
  const api = await serve((_, response) => {
    response.writeHead(404, { "Content-Type": "application/json" }).end('{"detail": "There is no picture 7."}');
  });
  const failure = await api.openPicture(7).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(ApiError);
  expect(failure).toMatchObject({ status: 404, detail: "There is no picture 7." });
});

test("a refusal by something else is told by its status", async () => {
  const api = await serve((_, response) => response.writeHead(502).end("<html>"));
  await expect(api.status()).rejects.toThrow("The studio's server answered with status 502 Bad Gateway.");
});

test("a server that is not there, or breaks off, is a failure of the network", async () => {
  await expect(createApi("http://127.0.0.1:1").status()).rejects.toBeInstanceOf(NetworkError);
  const api = await serve((_, response) => {
    response.writeHead(200, { "Content-Length": "1000" }).write("{");
    setTimeout(() => response.destroy(), 5);
  });
  await expect(api.status()).rejects.toBeInstanceOf(NetworkError);
});

test("whoever aborts gets their own reason", async () => {
  const api = await serve(() => undefined);
  const abort = new AbortController();
  const asked = api.status(abort.signal);
  abort.abort(new Error("gone on"));
  await expect(asked).rejects.toThrow("gone on");
});

test("an embedding is asked for until the server has it", async () => {
  const asked: string[] = [];
  const api = await serve((request, response) => {
    asked.push(request.url ?? "");
    if (asked.length < 3) response.writeHead(503, { "Retry-After": "0" }).end('{"detail": "Still encoding."}');
    else response.writeHead(200, { "X-Anymask-Model": "m" }).end(new Uint8Array([1, 2, 3, 4]));
  });
  const { data, model } = await api.embedding(5, "next");
  expect([...new Uint8Array(data), model]).toEqual([1, 2, 3, 4, "m"]);
  expect(asked).toEqual(Array.from({ length: 3 }, () => "/api/pictures/5/embedding?priority=next&wait=20"));
});

test("an embedding that will never come is a refusal", async () => {
  const api = await serve((_, response) => response.writeHead(503).end('{"detail": "The model cannot be loaded."}'));
  await expect(api.embedding(5, "current")).rejects.toThrow("The model cannot be loaded.");
});

test("changes are sent as JSON, for one project", async () => {
  const seen: unknown[] = [];
  const api = await serve((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      const { method, url, headers } = request;
      seen.push([method, url, headers["x-anymask-project"], JSON.parse(Buffer.concat(parts).toString())]);
      response.end('{"results": []}');
    });
  });
  expect(await api.sendChanges("p", 3, [])).toEqual([]);
  expect(seen).toEqual([["POST", "/api/pictures/3/changes", "p", { changes: [] }]]);
});

test("a download has its name, and says what was lost", async () => {
  const asked: string[] = [];
  const api = await serve((request, response) => {
    asked.push(request.url ?? "");
    response.writeHead(200, {
      "Content-Disposition": "attachment; filename=\"x\"; filename*=UTF-8''B%C3%A4ume.json",
      "X-Anymask-Losses": '["Holes are gone."]',
    });
    response.end("{}");
  });
  const download = await api.exportFile("coco", { withPictures: true, pictures: [3, 4] });
  expect([download.name, download.losses, await download.content.text()]).toEqual([
    "Bäume.json",
    ["Holes are gone."],
    "{}",
  ]);
  expect(asked).toEqual(["/api/export?format=coco&with_pictures=true&picture=3&picture=4"]);
});

test("an import sends the file's bytes under its name", async () => {
  const seen: unknown[] = [];
  const api = await serve((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      seen.push([request.url, Buffer.concat(parts).toString()]);
      response.end('{"masks": 1, "known": 0, "other_images": 0, "reasons": []}');
    });
  });
  expect(await api.importFile("p", new File(["abc"], "a b.json"), null)).toMatchObject({ masks: 1 });
  await api.importFile("p", new File(["abc"], "x.zip"), "yolo");
  expect(seen).toEqual([
    ["/api/import?name=a+b.json", "abc"],
    ["/api/import?name=x.zip&format=yolo", "abc"],
  ]);
});

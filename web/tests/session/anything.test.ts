import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { expect, test } from "vitest";
import { newBrowser, pass, type Tab } from "./browser";
import { FakeServer } from "./fakeServer";

const place = fc.record({ x: fc.integer({ min: 0, max: 40 }), y: fc.integer({ min: 0, max: 30 }) });
const some = fc.nat({ max: 5 });

type Command = (tab: Tab, server: FakeServer) => unknown;

function anObject(tab: Tab, number: number): string {
  return tab.state.objects[number]?.id ?? tab.state.selected ?? "none";
}

/** What a hurried person and an unsteady connection do. */
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.tuple(place, fc.boolean()).map(
      ([at, yes]): Command =>
        (tab) =>
          tab.session.click(at, yes),
    ),
  },
  fc.tuple(place, place).map(
    ([a, b]): Command =>
      (tab) =>
        tab.session.addBox([a.x, a.y, b.x, b.y]),
  ),
  fc.tuple(some, some).map(
    ([n, i]): Command =>
      (tab) =>
        tab.session.removeClick(anObject(tab, n), i),
  ),
  { weight: 3, arbitrary: fc.constant<Command>((tab) => tab.session.undo()) },
  fc.constant<Command>((tab) => tab.session.redo()),
  fc.constant<Command>((tab) => tab.session.finish()),
  fc.constant<Command>((tab) => tab.session.discard()),
  fc.constant<Command>((tab) => tab.session.nextReading()),
  some.map(
    (n): Command =>
      (tab) =>
        tab.session.remove(anObject(tab, n)),
  ),
  some.map(
    (n): Command =>
      (tab) =>
        tab.session.select(anObject(tab, n)),
  ),
  some.map(
    (n): Command =>
      (tab) =>
        tab.session.setLabel(anObject(tab, n), `label ${n}`),
  ),
  fc.constantFrom(1, 2).map(
    (picture): Command =>
      (tab) =>
        tab.session.openPicture(picture),
  ),
  fc.constant<Command>((tab) => tab.session.reload()),
  fc.boolean().map(
    (isLost): Command =>
      (_, server) =>
        (server.isLost = isLost),
  ),
  {
    weight: 4,
    arbitrary: fc.nat({ max: 4 }).map(
      (time): Command =>
        () =>
          pass(time),
    ),
  },
);

/** Every version of every object was stored once, in order. */
function expectWholeLog(server: FakeServer): void {
  const versions = new Map<string, number>();
  for (const { change } of server.log) {
    expect(change.state.version).toBe((versions.get(change.state.id) ?? 0) + 1);
    versions.set(change.state.id, change.state.version);
  }
}

async function expectSame(tab: Tab, server: FakeServer, picture: number): Promise<void> {
  await tab.until(({ objects }) => isDeepStrictEqual(objects, server.present(picture)));
}

test("whatever is done, the server ends up with what the page shows, and so does the next visit", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(command, { minLength: 5, maxLength: 40 }), async (commands) => {
      const server = new FakeServer(2);
      const browser = newBrowser();
      const tab = browser.open(server);
      await tab.ready();
      for (const run of commands) await run(tab, server);
      server.isLost = false;
      for (const picture of [1, 2]) {
        await tab.go(picture);
        await tab.settled();
        await expectSame(tab, server, picture);
      }
      expect(tab.state.notices.filter(({ text }) => !text.includes("finds nothing"))).toEqual([]);
      expectWholeLog(server);
      browser.kill();
      const again = browser.open(server);
      await again.go(2);
      await expectSame(again, server, 2);
      browser.kill();
    }),
    { numRuns: 30 },
  );
}, 30_000);

test("whatever is done in two tabs, both end up with what the server has", async () => {
  const commands = fc.array(fc.tuple(fc.constantFrom(0 as const, 1 as const), command), {
    minLength: 5,
    maxLength: 40,
  });
  await fc.assert(
    fc.asyncProperty(commands, async (commandsOfTabs) => {
      const server = new FakeServer(2);
      const browser = newBrowser();
      const tabs = [browser.open(server), browser.open(server)] as const;
      for (const tab of tabs) await tab.ready();
      for (const [which, run] of commandsOfTabs) await run(tabs[which], server);
      server.isLost = false;
      for (const picture of [1, 2]) {
        for (const tab of tabs) await tab.go(picture);
        for (const tab of tabs) await tab.settled();
        for (const tab of tabs) await expectSame(tab, server, picture);
      }
      expectWholeLog(server);
      browser.kill();
    }),
    { numRuns: 20 },
  );
}, 30_000);

import { newBrowser, type FakeBrowser, type Tab } from "./browser";
import { FakeDecoder } from "./fakeDecoder";
import { FakeServer } from "./fakeServer";

/** The studio in a browser of its own, ready for clicks in its first picture. */
export function opened(server = new FakeServer(), decoder = new FakeDecoder()): Promise<Tab> {
  return openedIn(newBrowser(), server, decoder);
}

/** The studio in another tab of a browser, ready for clicks. */
export async function openedIn(browser: FakeBrowser, server: FakeServer, decoder = new FakeDecoder()): Promise<Tab> {
  const tab = browser.open(server, decoder);
  await tab.ready();
  return tab;
}

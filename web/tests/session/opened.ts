import { newBrowser, type Tab } from "./browser";
import { FakeDecoder } from "./fakeDecoder";
import { FakeServer } from "./fakeServer";

/** The studio in a browser of its own, ready for clicks in its first picture. */
export async function opened(server = new FakeServer(), decoder = new FakeDecoder()): Promise<Tab> {
  const tab = newBrowser().open(server, decoder);
  await tab.ready();
  return tab;
}

import { CutOutError } from "./cut";

/**
 * Copy a PNG to the clipboard.
 *
 * @param png - may still be in the making: browsers allow copying only within the click or key that asked for it, and
 *   wait for what they were promised.
 * @throws CutOutError where the browser refuses, with what to do instead.
 */
export async function copyToClipboard(png: Promise<Blob>): Promise<void> {
  // Not there on pages that came over an unprotected network, whatever the types say.
  const clipboard = navigator.clipboard as Clipboard | undefined;
  if (clipboard === undefined || typeof ClipboardItem === "undefined") {
    png.catch(() => undefined);
    throw new CutOutError(
      "This browser copies pictures only on pages from this computer or over HTTPS. Save the cut-out as a file instead.",
    );
  }
  try {
    await clipboard.write([new ClipboardItem({ "image/png": png })]);
  } catch (error) {
    // What went wrong with the picture itself is told before what the clipboard says of it.
    await png;
    const reason = error instanceof Error ? ` (${error.message})` : "";
    throw new CutOutError(
      `The browser did not let the cut-out be copied${reason}. Allow the clipboard for this page, or save it as a file.`,
    );
  }
}

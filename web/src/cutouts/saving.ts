const KEPT_FOR = 60_000;

/** Let the browser save a file under a name, as if it had been downloaded. */
export function saveBlob(file: Blob, name: string): void {
  const address = URL.createObjectURL(file);
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  // Some browsers begin to read only after the click was handled.
  setTimeout(() => {
    URL.revokeObjectURL(address);
  }, KEPT_FOR);
}

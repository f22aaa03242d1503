import type { Api } from "../api/client";
import type { ObjectState, Picture } from "../api/types";
import {
  allCutOutsName,
  copyToClipboard,
  cutOut,
  cutOutName,
  cutOutsZip,
  cutOutTogether,
  saveBlob,
} from "../cutouts/cutouts";
import type { Session } from "../session/session";

/** Cut-outs of the picture that is shown; what goes wrong becomes a notice. */
export interface CutOutCommands {
  copySelected(): void;
  saveSelected(): void;
  saveTogether(): void;
  saveAll(): void;
}

interface Selected {
  picture: Picture;
  object: ObjectState;
  /** Its place in the list, from 1. */
  number: number;
}

/** The picture's own pixels, from the browser's cache where it is shown already. */
async function loadPicture(address: string, name: string): Promise<HTMLImageElement> {
  const image = new Image();
  image.src = address;
  try {
    await image.decode();
  } catch {
    throw new Error(`${name} could not be loaded again; is the server there?`);
  }
  return image;
}

export function createCutOutCommands(session: Session, api: Pick<Api, "imageUrl">): CutOutCommands {
  function selectedObject(): Selected | null {
    const { picture, objects, selected } = session.state.getState();
    const index = objects.findIndex(({ id }) => id === selected);
    const object = objects[index];
    return picture === null || object === undefined ? null : { picture, object, number: index + 1 };
  }

  async function cutSelected({ picture, object }: Selected): Promise<Blob> {
    return cutOut(await loadPicture(api.imageUrl(picture.id), picture.name), object);
  }

  async function saveAll(ending: "png" | "zip"): Promise<void> {
    const { picture, objects } = session.state.getState();
    if (picture === null || objects.length === 0) return;
    const { id, name } = picture;
    const pixels = await loadPicture(api.imageUrl(id), name);
    const file = await (ending === "zip" ? cutOutsZip(pixels, name, objects) : cutOutTogether(pixels, objects));
    saveBlob(file, allCutOutsName(name, ending));
  }

  function report(work: Promise<unknown>, done: string | null): void {
    work.then(
      () => {
        if (done !== null) session.notify("info", done);
      },
      (error: unknown) => {
        session.notify("error", error instanceof Error ? error.message : String(error));
      },
    );
  }

  return {
    copySelected: () => {
      const selected = selectedObject();
      // The clipboard is given a promise, as it may only be asked for during the key press itself.
      if (selected !== null) report(copyToClipboard(cutSelected(selected)), "The cut-out is in the clipboard.");
    },
    saveSelected: () => {
      const selected = selectedObject();
      if (selected === null) return;
      const { picture, object, number } = selected;
      const name = cutOutName(picture.name, object.label, number);
      report(
        cutSelected(selected).then((file) => {
          saveBlob(file, name);
        }),
        null,
      );
    },
    saveTogether: () => {
      report(saveAll("png"), null);
    },
    saveAll: () => {
      report(saveAll("zip"), null);
    },
  };
}

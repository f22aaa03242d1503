import { createStore, type StoreApi } from "zustand/vanilla";

export type DialogName = "help" | "export" | "import" | "labels" | "aside" | "unusable";
export type Theme = "light" | "dark";

/** What a label is being typed for: an object, or all those to come. */
export type LabelTarget = { kind: "object"; id: string } | { kind: "new" };

/** What the page shows around the stage that is no part of the annotation. Replaced, never changed. */
export interface PageState {
  dialog: DialogName | null;
  /** What the import dialog begins with, such as a file that was dropped on the page. */
  fileToImport: File | null;
  labelling: LabelTarget | null;
  /** The label as far as it is typed; null before anything is. */
  draft: string | null;
  /** Null follows the system. */
  theme: Theme | null;
  /** Whether the list of pictures is shown. */
  picturesShown: boolean;
  /** The search field has the focus, or is to get it. */
  searching: boolean;
}

/** Commands on the page itself. */
export interface Page {
  readonly state: StoreApi<PageState>;
  openDialog(dialog: DialogName): void;
  closeDialog(): void;
  /** Open the import dialog with a file. */
  importFile(file: File): void;
  startLabelling(target: LabelTarget): void;
  setDraft(draft: string): void;
  stopLabelling(): void;
  toggleTheme(): void;
  togglePictures(): void;
  searchPictures(): void;
  endSearch(): void;
}

/** What the page needs of the browser. */
export interface PageSurroundings {
  /** Null where the browser refuses to remember anything. */
  storage: Pick<Storage, "getItem" | "setItem"> | null;
  prefersDark(): boolean;
  /** Of the window, in CSS pixels. */
  width: number;
}

const THEME = "anymask.theme";
const PICTURES = "anymask.pictures-shown";
/** Below this the list of pictures would take from the stage what it needs. */
const ROOM_FOR_PICTURES = 1100;

function rememberedTheme(value: string | null | undefined): Theme | null {
  return value === "light" || value === "dark" ? value : null;
}

/** The page's own state, with what was remembered of it. */
export function createPage({ storage, prefersDark, width }: PageSurroundings): Page {
  const shown = storage?.getItem(PICTURES);
  const state = createStore<PageState>(() => ({
    dialog: null,
    fileToImport: null,
    labelling: null,
    draft: null,
    theme: rememberedTheme(storage?.getItem(THEME)),
    picturesShown: shown ? shown === "yes" : width >= ROOM_FOR_PICTURES,
    searching: false,
  }));

  function showPictures(picturesShown: boolean): void {
    storage?.setItem(PICTURES, picturesShown ? "yes" : "no");
    state.setState({ picturesShown });
  }

  return {
    state,
    openDialog: (dialog) => {
      state.setState({ dialog, fileToImport: null, labelling: null });
    },
    closeDialog: () => {
      state.setState({ dialog: null, fileToImport: null });
    },
    importFile: (fileToImport) => {
      state.setState({ dialog: "import", fileToImport, labelling: null });
    },
    startLabelling: (labelling) => {
      state.setState({ labelling, draft: null });
    },
    setDraft: (draft) => {
      state.setState({ draft });
    },
    stopLabelling: () => {
      state.setState({ labelling: null, draft: null });
    },
    toggleTheme: () => {
      const now = state.getState().theme ?? (prefersDark() ? "dark" : "light");
      const theme = now === "dark" ? "light" : "dark";
      storage?.setItem(THEME, theme);
      state.setState({ theme });
    },
    togglePictures: () => {
      showPictures(!state.getState().picturesShown);
    },
    searchPictures: () => {
      showPictures(true);
      state.setState({ searching: true });
    },
    endSearch: () => {
      state.setState({ searching: false });
    },
  };
}

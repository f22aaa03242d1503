import { ExportDialog } from "./ExportDialog";
import { HelpSheet } from "./HelpSheet";
import { ImportDialog } from "./ImportDialog";
import { LabelsDialog } from "./LabelsDialog";
import { usePage } from "./StudioContext";

/** The dialog that is open, if any. */
export function Dialogs() {
  const dialog = usePage((state) => state.dialog);
  if (dialog === "help") return <HelpSheet />;
  if (dialog === "export") return <ExportDialog />;
  if (dialog === "import") return <ImportDialog />;
  if (dialog === "labels") return <LabelsDialog />;
  return null;
}

import { ExportDialog } from "./ExportDialog";
import { HelpSheet } from "./HelpSheet";
import { ImportDialog } from "./ImportDialog";
import { LabelsDialog } from "./LabelsDialog";
import { SetAsideDialog } from "./SetAsideDialog";
import { usePage } from "./StudioContext";
import { UnusableDialog } from "./UnusableDialog";

/** The dialog that is open, if any. */
export function Dialogs() {
  const dialog = usePage((state) => state.dialog);
  if (dialog === "help") return <HelpSheet />;
  if (dialog === "export") return <ExportDialog />;
  if (dialog === "import") return <ImportDialog />;
  if (dialog === "labels") return <LabelsDialog />;
  if (dialog === "aside") return <SetAsideDialog />;
  if (dialog === "unusable") return <UnusableDialog />;
  return null;
}

import { useState } from "react";
import type { Imported } from "../api/types";
import { Button } from "./Button";
import { Dialog } from "./Dialog";
import form from "./form.module.css";
import { importedText } from "./importedText";
import { messageOf } from "./messageOf";
import { useContextOfStudio, usePage, useStudio } from "./StudioContext";
import { useFormats } from "./useFormats";

function Result({ imported }: { imported: Imported }) {
  return (
    <div className={form.form} role="status" data-testid="import-done">
      <p>{importedText(imported)}</p>
      {imported.reasons.length > 0 && (
        <div className={form.field}>
          <span className={form.name}>What was left out, and why</span>
          <ul className={form.sentences}>
            {imported.reasons.map((reason) => (
              <li key={reason}>{reason}</li>
            ))}
          </ul>
        </div>
      )}
    </div>
  );
}

/** Masks from a file into this project. */
export function ImportDialog() {
  const { api, page, session } = useContextOfStudio();
  const dropped = usePage((state) => state.fileToImport);
  const project = useStudio((state) => state.project?.id);
  const { formats, error } = useFormats();
  const [chosen, setChosen] = useState<File | null>(null);
  const [format, setFormat] = useState("");
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<string | null>(null);
  const [imported, setImported] = useState<Imported | null>(null);
  const file = chosen ?? dropped;

  async function start(): Promise<void> {
    if (file === null || project === undefined || busy) return;
    setBusy(true);
    setFailure(null);
    // Closing the dialog does not take back what the server has begun; then a notice tells what became of it.
    const isOpen = () => page.state.getState().dialog === "import";
    try {
      const result = await api.importFile(project, file, format || null);
      session.reload();
      if (isOpen()) setImported(result);
      else session.notify("info", importedText(result));
    } catch (reason) {
      if (isOpen()) setFailure(messageOf(reason));
      else session.notify("error", messageOf(reason));
    }
    setBusy(false);
  }

  return (
    <Dialog
      title={imported === null ? "Import masks" : "Imported"}
      testId="import-dialog"
      onClose={page.closeDialog}
      footer={
        imported === null ? (
          <>
            <Button onClick={page.closeDialog}>Cancel</Button>
            <Button primary data-testid="import-start" disabled={file === null || busy} onClick={() => void start()}>
              {busy ? "Importing…" : "Import"}
            </Button>
          </>
        ) : (
          <Button primary onClick={page.closeDialog}>
            Close
          </Button>
        )
      }
    >
      {imported !== null ? (
        <Result imported={imported} />
      ) : (
        <div className={form.form}>
          <label className={form.field}>
            <span className={form.name}>File</span>
            <input
              type="file"
              className={form.file}
              data-testid="import-file"
              data-focused
              onChange={(event) => {
                setChosen(event.target.files?.[0] ?? null);
                setFailure(null);
              }}
            />
            <span className={form.quiet}>
              {chosen === null && dropped !== null ? `${dropped.name} was dropped. ` : ""}A file of any format that is
              exported here, or a ZIP of a folder of files. Pictures are matched by their names.
            </span>
          </label>
          <label className={form.field}>
            <span className={form.name}>Format</span>
            <select
              className={form.select}
              data-testid="import-format"
              value={format}
              onChange={(event) => {
                setFormat(event.target.value);
              }}
            >
              <option value="">As the file’s name and content say</option>
              {formats?.map(({ name, description }) => (
                <option key={name} value={name}>
                  {name}: {description}
                </option>
              ))}
            </select>
          </label>
          {(failure ?? error) !== null && (
            <p className={form.bad} role="alert">
              {failure ?? error}
            </p>
          )}
        </div>
      )}
    </Dialog>
  );
}

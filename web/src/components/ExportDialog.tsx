import { useState } from "react";
import { Button } from "./Button";
import { Dialog } from "./Dialog";
import form from "./form.module.css";
import { recall, remember } from "./remembered";
import { useContextOfStudio, useStudio } from "./StudioContext";
import { useExport, type ExportState } from "./useExport";
import { useFormats } from "./useFormats";

function Progress({ state }: { state: ExportState }) {
  const unsaved = useStudio(({ unsaved }) => unsaved);
  const serverLost = useStudio((studio) => studio.serverLost);
  if (state.step === "failed") {
    return (
      <p className={form.bad} role="alert">
        {state.reason}
      </p>
    );
  }
  if (state.step === "saving" && unsaved > 0) {
    const waiting = serverLost ? "The server cannot be reached; the export begins when it is back" : "Saving first";
    return (
      <p className={form.quiet} role="status">
        {waiting}: {unsaved === 1 ? "1 change is" : `${unsaved.toLocaleString("en")} changes are`} on the way…
      </p>
    );
  }
  if (state.step === "writing" || state.step === "saving") {
    return (
      <p className={form.quiet} role="status">
        The server writes the file…
      </p>
    );
  }
  return null;
}

function Done({ name, losses }: { name: string; losses: readonly string[] }) {
  return (
    <div className={form.form} role="status" data-testid="export-done">
      <p>{name} is in your downloads.</p>
      {losses.length > 0 && (
        <div className={form.field}>
          <span className={form.name}>What is not in it</span>
          <ul className={form.sentences} data-testid="export-losses">
            {losses.map((loss) => (
              <li key={loss}>{loss}</li>
            ))}
          </ul>
        </div>
      )}
    </div>
  );
}

/** Masks of one picture or all as a file of any format. */
export function ExportDialog() {
  const { page } = useContextOfStudio();
  const { formats, error } = useFormats();
  const picture = useStudio((studio) => studio.picture);
  const total = useStudio(({ project, pictures }) => Math.max(project?.pictures ?? 0, pictures.length));
  const [wanted, setWanted] = useState(() => recall("export-format") ?? "coco");
  const [withPictures, setWithPictures] = useState(false);
  const [onlyThis, setOnlyThis] = useState(false);
  const { state, start } = useExport();
  const format = formats?.find(({ name }) => name === wanted) ?? formats?.[0];
  const busy = state.step === "saving" || state.step === "writing";

  if (state.step === "done") {
    return (
      <Dialog
        title="Exported"
        testId="export-dialog"
        onClose={page.closeDialog}
        footer={
          <Button primary onClick={page.closeDialog}>
            Close
          </Button>
        }
      >
        <Done name={state.name} losses={state.losses} />
      </Dialog>
    );
  }

  function submit(): void {
    if (format === undefined || busy) return;
    remember("export-format", format.name);
    start({ format: format.name, withPictures, pictures: onlyThis && picture !== null ? [picture.id] : [] });
  }

  return (
    <Dialog
      title="Export masks"
      testId="export-dialog"
      onClose={page.closeDialog}
      footer={
        <>
          <Button onClick={page.closeDialog}>Cancel</Button>
          <Button primary data-testid="export-start" disabled={format === undefined || busy} onClick={submit}>
            {busy ? "Exporting…" : "Export"}
          </Button>
        </>
      }
    >
      <form
        className={form.form}
        onSubmit={(event) => {
          event.preventDefault();
          submit();
        }}
      >
        <label className={form.field}>
          <span className={form.name}>Format</span>
          <select
            className={form.select}
            data-testid="export-format"
            data-focused
            value={format?.name ?? ""}
            onChange={(event) => {
              setWanted(event.target.value);
            }}
          >
            {formats?.map(({ name }) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
          <span className={form.quiet}>
            {format?.description}
            {format?.is_folder === true && " Several files, in a ZIP."}
          </span>
          {error !== null && (
            <span className={form.bad} role="alert">
              {error}
            </span>
          )}
        </label>
        <fieldset className={form.choices}>
          <legend className={form.name}>Of</legend>
          <label className={form.choice}>
            <input
              type="radio"
              name="of"
              checked={!onlyThis}
              onChange={() => {
                setOnlyThis(false);
              }}
            />
            all {total.toLocaleString("en")} pictures
          </label>
          {picture !== null && (
            <label className={form.choice}>
              <input
                type="radio"
                name="of"
                data-testid="export-this"
                checked={onlyThis}
                onChange={() => {
                  setOnlyThis(true);
                }}
              />
              this picture, {picture.name}
            </label>
          )}
        </fieldset>
        <label className={form.choice}>
          <input
            type="checkbox"
            data-testid="export-pictures"
            checked={withPictures}
            onChange={(event) => {
              setWithPictures(event.target.checked);
            }}
          />
          with the pictures themselves
        </label>
        <Progress state={state} />
        <button type="submit" hidden />
      </form>
    </Dialog>
  );
}

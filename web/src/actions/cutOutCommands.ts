/** Cut-outs of the picture that is shown; what goes wrong becomes a notice. */
export interface CutOutCommands {
  copySelected(): void;
  saveSelected(): void;
  saveAll(): void;
}

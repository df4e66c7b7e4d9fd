/** Files and folders dropped anywhere on the page. */
import { byId } from "./dom.js";

/** Reads every file below a dropped folder; names are paths, `folder/config.json`. */
async function filesBelow(entry: FileSystemEntry, path: string, into: Map<string, File>): Promise<void> {
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
    into.set(path + entry.name, file);
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  for (;;) {
    // A reader hands out a hundred entries at a time and an empty list at the end.
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return;
    for (const one of some) await filesBelow(one, `${path}${entry.name}/`, into);
  }
}

export async function filesOf(transfer: DataTransfer): Promise<Map<string, File>> {
  const files = new Map<string, File>();
  // Entries must be taken before the first await: the list is empty afterwards.
  const items = [...transfer.items].filter(({ kind }) => kind === "file");
  const entries = items.map((item) => ({ entry: item.webkitGetAsEntry?.() ?? null, file: item.getAsFile() }));
  for (const { entry, file } of entries) {
    if (entry?.isDirectory) await filesBelow(entry, "", files);
    else if (file) files.set(file.name, file);
  }
  return files;
}

/** Shows the frame while something is dragged over the page, and hands over what was dropped. */
export function acceptDrops(take: (files: Map<string, File>) => void): void {
  const frame = byId("drop");
  let inside = 0;
  const isFiles = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
  const show = (on: boolean) => {
    frame.hidden = !on;
    if (!on) inside = 0;
  };
  addEventListener("dragenter", (event) => {
    if (!isFiles(event)) return;
    event.preventDefault();
    inside += 1;
    show(true);
  });
  addEventListener("dragleave", (event) => {
    if (!isFiles(event)) return;
    inside -= 1;
    if (inside <= 0) show(false);
  });
  addEventListener("dragover", (event) => {
    if (!isFiles(event)) return;
    event.preventDefault();
    event.dataTransfer!.dropEffect = "copy";
  });
  addEventListener("drop", (event) => {
    if (!isFiles(event) || !event.dataTransfer) return;
    event.preventDefault();
    show(false);
    void filesOf(event.dataTransfer).then(take);
  });
}

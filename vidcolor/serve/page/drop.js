// The files in what was dropped or chosen, with the paths that they have in a folder.

/** Files of a drop, folders searched to the bottom: [{file, name}], name with its folders. */
export async function dropped(transfer) {
  // The list is emptied as soon as this listener ends, so the entries are taken out first.
  const entries = [];
  for (const item of transfer.items ?? []) {
    if (item.kind !== "file") continue;
    const entry = item.webkitGetAsEntry?.();
    entries.push(entry ?? item.getAsFile());
  }
  const found = [];
  for (const entry of entries) await collect(entry, found);
  return found;
}

async function collect(entry, found) {
  if (entry instanceof File) found.push({ file: entry, name: entry.name });
  else if (entry?.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    found.push({ file, name: entry.fullPath.replace(/^\//, "") });
  } else if (entry?.isDirectory) {
    const reader = entry.createReader();
    for (;;) {
      const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (!some.length) return;
      for (const child of some) await collect(child, found);
    }
  }
}

/** Files of an <input type=file>. */
export function chosen(input) {
  return Array.from(input.files, (file) => ({
    file,
    name: file.webkitRelativePath || file.name,
  }));
}

/** Whether the server takes a file of that name for a film or still. */
export function suits(name, suffixes) {
  const hidden = name.split("/").pop().startsWith(".");
  const dot = name.lastIndexOf(".");
  return !hidden && (!suffixes.length || suffixes.includes(name.slice(dot).toLowerCase()));
}

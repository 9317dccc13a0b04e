// Pictures that a visitor drops, pastes or chooses, decoded by the browser. Says what is no picture.

export interface PictureListener {
  /** `bitmap` is `file` as the browser shows it. */
  picture(file: File, bitmap: ImageBitmap): void;
  problem(text: string): void;
}

/** Listens on the drop area, the file input, and on the whole page for pastes. */
export function pictureInput(drop: HTMLElement, file: HTMLInputElement, listener: PictureListener): void {
  const take = (files: FileList | undefined | null): void => {
    const [first] = files ?? [];
    if (first) void decode(first, listener);
    else listener.problem("That was no file. Drop an image file, or choose one.");
  };
  // A file that misses the area would replace the page.
  for (const type of ["dragover", "drop"]) document.addEventListener(type, (event) => event.preventDefault());
  drop.addEventListener("dragover", () => drop.classList.add("over"));
  for (const type of ["dragleave", "drop"]) drop.addEventListener(type, () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => take(event.dataTransfer?.files));
  document.addEventListener("paste", (event) => {
    if (event.clipboardData?.files.length) take(event.clipboardData.files);
  });
  file.addEventListener("change", () => {
    if (file.files?.length) take(file.files);
    // The same file may be chosen again.
    file.value = "";
  });
}

async function decode(file: File, listener: PictureListener): Promise<void> {
  try {
    listener.picture(file, await createImageBitmap(file));
  } catch {
    listener.problem(`${file.name || "The file"} is not an image that this browser can read.`);
  }
}

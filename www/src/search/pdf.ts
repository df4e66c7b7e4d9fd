/** Reading PDF files. pdf.js is large: it is fetched, from this page's own server, when the first of them comes. */
import type { PdfItem } from "./pdf-text.js";
import type { Pages } from "./read.js";

/** What is used of pdf.js. */
interface PdfLibrary {
  GlobalWorkerOptions: { workerSrc: string };
  getDocument(options: object): { promise: Promise<PdfDocument>; destroy(): Promise<void> };
}

interface PdfDocument {
  numPages: number;
  getPage(n: number): Promise<{ getTextContent(): Promise<{ items: (PdfItem | object)[] }>; cleanup(): void }>;
}

const address = (name: string) => new URL(`./pdf/${name}`, import.meta.url).href;
let library: Promise<PdfLibrary> | undefined;

async function load(): Promise<PdfLibrary> {
  library ??= (import(address("pdf.min.mjs")) as Promise<PdfLibrary>).then((pdf) => {
    pdf.GlobalWorkerOptions.workerSrc = address("pdf.worker.min.mjs");
    return pdf;
  });
  return library.catch((error: unknown) => {
    // The next file may have more luck.
    library = undefined;
    throw error;
  });
}

/** The runs of letters of each page. */
export async function pdfPages(file: Blob, heard: Pages, signal: AbortSignal): Promise<PdfItem[][]> {
  const { getDocument } = await load();
  signal.throwIfAborted();
  const task = getDocument({
    data: await file.arrayBuffer(),
    // Old files from East Asia say only which table their letters are in.
    cMapUrl: address("cmaps/"),
    cMapPacked: true,
    disableFontFace: true,
    isEvalSupported: false,
    verbosity: 0,
  });
  try {
    const document = await task.promise;
    const pages: PdfItem[][] = [];
    for (let n = 1; n <= document.numPages; n++) {
      signal.throwIfAborted();
      const page = await document.getPage(n);
      const { items } = await page.getTextContent();
      pages.push(items.filter((item): item is PdfItem => "str" in item));
      page.cleanup();
      heard(n, document.numPages);
    }
    return pages;
  } finally {
    await task.destroy();
  }
}

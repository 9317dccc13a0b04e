// The browser's names that this room uses and that Node has not, as far as they are used. Described here by
// shape because one and the same code serves windows and workers, whose type libraries exclude each other.

/** An ImageBitmap. */
export interface BitmapLike {
  readonly width: number;
  readonly height: number;
  close(): void;
}

export interface CanvasContextLike {
  drawImage(source: BitmapLike, x: number, y: number): void;
  getImageData(
    x: number,
    y: number,
    width: number,
    height: number,
    settings: object,
  ): { readonly data: Uint8ClampedArray };
}

export interface CanvasLike {
  width: number;
  height: number;
  getContext(kind: "2d", settings: object): CanvasContextLike | null;
}

export interface CacheLike {
  match(url: string): Promise<Response | undefined>;
  put(url: string, response: Response): Promise<void>;
  delete(url: string): Promise<boolean>;
}

export interface AdapterLike {
  readonly info?: {
    readonly vendor?: string;
    readonly architecture?: string;
    readonly device?: string;
    readonly description?: string;
  };
}

export interface WorkerLike {
  addEventListener(
    type: "message" | "error",
    listener: (event: { readonly data?: unknown; readonly message?: string }) => void,
  ): void;
  postMessage(message: unknown): void;
  terminate(): void;
}

export interface BrowserGlobals {
  readonly createImageBitmap?: (source: never, options: object) => Promise<BitmapLike>;
  readonly ImageBitmap?: new () => BitmapLike;
  readonly OffscreenCanvas?: new (width: number, height: number) => CanvasLike;
  readonly document?: { readonly baseURI: string; createElement(name: "canvas"): CanvasLike };
  readonly location?: { readonly href: string };
  readonly caches?: { open(name: string): Promise<CacheLike>; delete(name: string): Promise<boolean> };
  readonly navigator?: { readonly gpu?: { requestAdapter(): Promise<AdapterLike | null> } };
}

/** Asked for at each use: what is missing is found out where it is needed. */
export function browserGlobals(): BrowserGlobals {
  return globalThis as unknown as BrowserGlobals;
}

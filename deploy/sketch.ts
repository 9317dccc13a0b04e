// A canvas to draw on by mouse, finger, pen or keys, over a picture or not. Knows no model: it says when the drawing changed.

const PAPER = "#ffffff";
const INK = "#16181d";
const STEP = 8;
const LONG_STEP = 32;

export interface Sketch {
  clear(): void;
  /** Fits a picture onto the paper, its middle in the middle. */
  show(picture: CanvasImageSource, width: number, height: number): void;
}

/**
 * Makes `canvas` a drawing area.
 *
 * @param penWidth in pixels of the canvas
 * @param changed called when a stroke ends, and when a key cleared the paper
 * @param moved called with the pen's place, as shares of the paper, and whether keys have put it down
 */
export function sketchOn(
  canvas: HTMLCanvasElement,
  penWidth: () => number,
  changed: (empty: boolean) => void,
  moved: (x: number, y: number, down: boolean) => void,
): Sketch {
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("this browser has no 2D canvas");
  const pen = { x: canvas.width / 2, y: canvas.height / 2, down: false };
  const clear = (): void => {
    context.fillStyle = PAPER;
    context.fillRect(0, 0, canvas.width, canvas.height);
  };
  const lineTo = (x: number, y: number): void => {
    context.strokeStyle = INK;
    context.lineWidth = penWidth();
    context.lineCap = "round";
    context.lineJoin = "round";
    context.beginPath();
    context.moveTo(pen.x, pen.y);
    context.lineTo(x, y);
    context.stroke();
    moveTo(x, y);
  };
  const moveTo = (x: number, y: number): void => {
    pen.x = Math.min(canvas.width, Math.max(0, x));
    pen.y = Math.min(canvas.height, Math.max(0, y));
    moved(pen.x / canvas.width, pen.y / canvas.height, pen.down);
  };
  clear();
  drawByPointer(canvas, moveTo, lineTo, () => changed(false));
  canvas.addEventListener("keydown", (event) => {
    const step = event.shiftKey ? LONG_STEP : STEP;
    const moves: Readonly<Record<string, readonly [number, number]>> = {
      ArrowLeft: [-step, 0],
      ArrowRight: [step, 0],
      ArrowUp: [0, -step],
      ArrowDown: [0, step],
    };
    const move = moves[event.key];
    if (move) {
      const [x, y] = [pen.x + move[0], pen.y + move[1]];
      if (pen.down) lineTo(x, y);
      else moveTo(x, y);
    } else if (event.key === " ") {
      pen.down = !pen.down;
      if (pen.down) {
        lineTo(pen.x, pen.y);
      } else {
        moveTo(pen.x, pen.y);
        changed(false);
      }
    } else if (event.key === "Delete" || event.key === "Backspace") {
      clear();
      changed(true);
    } else {
      return;
    }
    event.preventDefault();
  });
  return {
    clear,
    show(picture, fullWidth, fullHeight) {
      clear();
      const scale = Math.min(canvas.width / fullWidth, canvas.height / fullHeight);
      const [width, height] = [fullWidth * scale, fullHeight * scale];
      context.drawImage(picture, (canvas.width - width) / 2, (canvas.height - height) / 2, width, height);
    },
  };
}

function drawByPointer(
  canvas: HTMLCanvasElement,
  moveTo: (x: number, y: number) => void,
  lineTo: (x: number, y: number) => void,
  changed: () => void,
): void {
  const place = (event: PointerEvent): [number, number] => {
    const box = canvas.getBoundingClientRect();
    return [
      ((event.clientX - box.left) * canvas.width) / box.width,
      ((event.clientY - box.top) * canvas.height) / box.height,
    ];
  };
  /** A second finger does not draw. */
  let drawing: number | null = null;
  canvas.addEventListener("pointerdown", (event) => {
    if (drawing !== null || event.button !== 0) return;
    drawing = event.pointerId;
    canvas.setPointerCapture(event.pointerId);
    moveTo(...place(event));
    lineTo(...place(event));
  });
  canvas.addEventListener("pointermove", (event) => {
    if (event.pointerId !== drawing) return;
    const parts = event.getCoalescedEvents();
    for (const part of parts.length > 0 ? parts : [event]) lineTo(...place(part));
  });
  for (const type of ["pointerup", "pointercancel"] as const) {
    canvas.addEventListener(type, (event) => {
      if (event.pointerId !== drawing) return;
      drawing = null;
      changed();
    });
  }
}

// The camera, picture after picture: the next one is taken when the last has its answer, so that none waits.

export interface Camera {
  stop(): void;
}

/** A side that small networks take, and that is resampled in little time. */
const WISHED_WIDTH = 320;

/** Whether this browser has cameras at all; whether there is one shows when it is asked for. */
export function hasCameras(): boolean {
  return navigator.mediaDevices?.getUserMedia !== undefined;
}

/**
 * Asks for the camera and calls `frame` for picture after picture, until stop().
 *
 * @param ended called when the camera goes away, or `frame` fails: with what it threw
 * @throws DOMException when there is none, or the visitor does not allow it
 */
export async function startCamera(
  frame: (video: HTMLVideoElement) => Promise<void>,
  ended: (thrown: unknown) => void,
): Promise<Camera> {
  const stream = await navigator.mediaDevices.getUserMedia({
    video: { width: { ideal: WISHED_WIDTH }, facingMode: "environment" },
  });
  const video = document.createElement("video");
  video.muted = true;
  video.playsInline = true;
  video.srcObject = stream;
  const state = { running: true };
  const stop = (): void => {
    state.running = false;
    for (const track of stream.getTracks()) track.stop();
    video.srcObject = null;
  };
  for (const track of stream.getTracks()) {
    track.addEventListener("ended", () => {
      if (!state.running) return;
      stop();
      ended(new Error("the camera was taken away"));
    });
  }
  await video.play();
  const loop = async (): Promise<void> => {
    while (state.running) {
      await new Promise<unknown>((resolve) => video.requestVideoFrameCallback(resolve));
      if (state.running) await frame(video);
    }
  };
  loop().catch((thrown: unknown) => {
    stop();
    ended(thrown);
  });
  return { stop };
}

/** Pictures a second over the last second or so; null before there are two. */
export function frameRate(): (now: number) => number | null {
  const times: number[] = [];
  return (now) => {
    times.push(now);
    while (times.length > 2 && now - (times[0] ?? now) > 1000) times.shift();
    const first = times[0] ?? now;
    return times.length < 2 || now === first ? null : (1000 * (times.length - 1)) / (now - first);
  };
}

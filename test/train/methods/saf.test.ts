import { expect, test } from "vitest";
import { StateReader, StateWriter } from "../../../src/train/methods/method-state.js";
import { EarlierOutputs } from "../../../src/train/methods/saf.js";

/** Outputs of two classes that tell the image and the visit. */
function outputs(images: readonly number[], visit: number): Float32Array {
  return Float32Array.from(images.flatMap((image) => [image, visit]));
}

const ids = (...images: readonly number[]): Int32Array => Int32Array.from(images);

test("an image has the outputs of E visits before, whenever others are visited", () => {
  const earlier = new EarlierOutputs(5, 2);
  earlier.put(ids(3, 1), outputs([3, 1], 0));
  earlier.put(ids(3, 4), outputs([3, 4], 1));
  expect(earlier.of(ids(1, 4))).toBe(null);
  // 3 has been visited twice, 1 and 4 once.
  expect(earlier.of(ids(1, 3))).toEqual({
    outputs: Float32Array.of(0, 0, 3, 0),
    known: Float32Array.of(0, 1),
  });
  earlier.put(ids(1, 3), outputs([1, 3], 2));
  expect(earlier.of(ids(1, 3))).toEqual({
    outputs: Float32Array.of(1, 0, 3, 1),
    known: Float32Array.of(1, 1),
  });
});

test("with E = 1 it is the visit before, also of an image that comes twice in a batch", () => {
  const earlier = new EarlierOutputs(2, 1);
  earlier.put(ids(0, 0), Float32Array.of(1, 2, 3, 4));
  expect(earlier.of(ids(0))?.outputs).toEqual(Float32Array.of(3, 4));
});

test("goes through a state bit for bit, before the first output too", () => {
  for (const visits of [0, 3]) {
    const earlier = new EarlierOutputs(3, 2);
    for (let visit = 0; visit < visits; visit++) earlier.put(ids(0, 2), outputs([0, 2], visit + 1 / 3));
    const state = new StateWriter();
    earlier.save(state);
    const again = new EarlierOutputs(3, 2);
    again.load(new StateReader(state.state()));
    expect(again.of(ids(0, 1, 2))).toEqual(earlier.of(ids(0, 1, 2)));
    again.put(ids(0), Float32Array.of(1, 2));
    earlier.put(ids(0), Float32Array.of(1, 2));
    expect(again.of(ids(0))).toEqual(earlier.of(ids(0)));
    const other = new EarlierOutputs(visits === 0 ? 4 : 3, 3);
    expect(() => other.load(new StateReader(state.state()))).toThrow(/expected \d+/);
  }
});

test("outputs of other classes, or of an image that is none, are no outputs of it", () => {
  const earlier = new EarlierOutputs(2, 1);
  earlier.put(ids(0), Float32Array.of(1, 2));
  expect(() => earlier.put(ids(0), Float32Array.of(1, 2, 3))).toThrow(/3 classes, expected 2/);
  expect(() => earlier.put(ids(2), Float32Array.of(1, 2))).toThrow(/of 2 images/);
});

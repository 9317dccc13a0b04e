import { expect, test } from "vitest";
import { quartiles, speedup, spread } from "../../bench/statistics.js";

test("quartiles interpolate between the nearest numbers, whatever their order", () => {
  expect(quartiles([4, 1, 3, 2])).toEqual({ q1: 1.75, median: 2.5, q3: 3.25 });
  expect(quartiles([5, 9, 1])).toEqual({ q1: 3, median: 5, q3: 7 });
  expect(quartiles([7])).toEqual({ q1: 7, median: 7, q3: 7 });
});

test("quartiles sort as numbers and leave their input alone", () => {
  const times = [10, 9, 100];
  expect(quartiles(times).median).toBe(10);
  expect(times).toEqual([10, 9, 100]);
});

test("one interrupted run moves no median", () => {
  expect(quartiles([2, 2, 2, 2, 900]).median).toBe(2);
});

test("a candidate that takes half the time is twice as fast, not half", () => {
  expect(speedup([10, 10, 10], [5, 5, 5])).toEqual({ q1: 2, median: 2, q3: 2 });
});

test("a round that slows down both changes no speed-up", () => {
  expect(speedup([10, 80, 10], [5, 40, 5]).median).toBe(2);
  expect(speedup([10, 80, 10], [5, 40, 5]).q3).toBe(2);
});

test("times that do not pair up are refused", () => {
  expect(() => speedup([1, 2], [1])).toThrow(/got 2 and 1 times/);
  expect(() => quartiles([])).toThrow(RangeError);
});

test("a spread is the median with the quartiles around it", () => {
  expect(spread({ q1: 2.404, median: 2.5, q3: 2.606 }, 2)).toBe("2.50 [2.40, 2.61]");
});

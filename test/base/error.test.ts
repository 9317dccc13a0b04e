import { describe, expect, test } from "vitest";
import { errorText, QdgError } from "../../src/base/error.js";

describe("QdgError", () => {
  test("says where, what and its code on one line", () => {
    const error = new QdgError("unsupported-layer", "conv2d_3 (Conv2D)", "dilationRate must be 1, got 2");
    expect(error.message).toBe("conv2d_3 (Conv2D): dilationRate must be 1, got 2 [unsupported-layer]");
    expect(error).toMatchObject({ name: "QdgError", code: "unsupported-layer", where: "conv2d_3 (Conv2D)" });
    expect(error).toBeInstanceOf(Error);
  });

  test("keeps what caused it", () => {
    const cause = new Error("no space left");
    expect(new QdgError("io", "a.onnx", "cannot be written", { cause }).cause).toBe(cause);
  });
});

describe("errorText", () => {
  test.each([
    ["an error", new Error("first\nsecond"), "first"],
    ["a string", "text", "text"],
    ["a number", 7, "7"],
    ["undefined", undefined, "undefined"],
    ["an error without a message", new Error(""), ""],
  ])("is one line for %s", (_, thrown, text) => expect(errorText(thrown)).toBe(text));
});

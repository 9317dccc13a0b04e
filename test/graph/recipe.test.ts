// Table: which bits the rules of a recipe give to a quantizer.

import { describe, expect, test } from "vitest";
import { bitsOf, checkRecipe, type Recipe, recipeOf, type Subject } from "../../src/graph/recipe.js";

const inner = (...layers: string[]): Subject => ({ layers, roles: ["inner"] });
const weights = (recipe: Recipe, subject: Subject): number => bitsOf(recipe, subject, "weightBits").bits;

describe("of the rules that match", () => {
  test("the last one wins, whether it names a layer, a pattern or a role", () => {
    const rules = [
      { match: { layer: "*" }, weightBits: 8 },
      { match: { role: "inner" as const }, weightBits: 4 },
      { match: { layer: "block_*_conv" }, weightBits: 3 },
      { match: { layer: "block_7_conv" }, weightBits: 5 },
    ];
    const recipe: Recipe = { rules, signedActivations: "asymmetric" };
    expect(weights(recipe, inner("dense"))).toBe(4);
    expect(weights(recipe, inner("block_12_conv"))).toBe(3);
    expect(weights(recipe, inner("block_7_conv"))).toBe(5);
    expect(weights(recipe, { layers: ["logits"], roles: ["last"] })).toBe(8);
    const reversed = { ...recipe, rules: rules.toReversed() };
    expect(weights(reversed, inner("block_7_conv"))).toBe(8);
  });

  test("one that says nothing of weights leaves them to those before it", () => {
    const recipe = recipeOf({ weightBits: 3, layers: { conv: { activationBits: 6 } } });
    expect(weights(recipe, inner("conv"))).toBe(3);
    expect(bitsOf(recipe, inner("conv"), "activationBits").bits).toBe(6);
  });

  test("a layer's name is taken as it stands, but for *", () => {
    const recipe = recipeOf({ weightBits: 8, layers: { "a.b(1)*": { weightBits: 2 } } });
    expect(weights(recipe, inner("a.b(1)"))).toBe(2);
    expect(weights(recipe, inner("a.b(1)/conv"))).toBe(2);
    expect(weights(recipe, inner("axb(1)"))).toBe(8);
    expect(weights(recipe, inner("x/a.b(1)"))).toBe(8);
  });

  test("any name of a value counts: of the layer that gives it, and of the one that a rectifier rectifies", () => {
    const recipe = recipeOf({ layers: { conv1: { activationBits: 6 } } });
    expect(bitsOf(recipe, inner("relu1", "conv1"), "activationBits").bits).toBe(6);
  });

  test("none is an error that names the layer and the remedy", () => {
    const recipe: Recipe = { rules: [], signedActivations: "asymmetric" };
    expect(() => weights(recipe, inner("conv"))).toThrow(/^conv: no rule .*weightBits; add one/);
  });
});

describe("a recipe of what was asked", () => {
  test("is plain data: 8 bits that nobody asked for, then what was asked", () => {
    const recipe = recipeOf({
      weightBits: 3,
      firstLastBits: 6,
      layers: { "conv*": { activationBits: 5 } },
      signedActivations: "signed",
    });
    expect(JSON.parse(JSON.stringify(recipe))).toEqual({
      rules: [
        { match: { layer: "*" }, weightBits: 8, activationBits: 8, default: true },
        { match: { role: "inner" }, weightBits: 3 },
        { match: { role: "first" }, weightBits: 6, activationBits: 6 },
        { match: { role: "last" }, weightBits: 6, activationBits: 6 },
        { match: { layer: "conv*" }, activationBits: 5 },
      ],
      signedActivations: "signed",
    });
  });

  test("has a layer whose name is a number after the patterns, where no object would keep it", () => {
    const recipe = recipeOf({ layers: { "*": { weightBits: 3 }, "7": { weightBits: 5 } } });
    expect(weights(recipe, inner("7"))).toBe(5);
    expect(weights(recipe, inner("8"))).toBe(3);
  });

  test("asks for inner activations only where activation bits are given", () => {
    const { rule } = bitsOf(recipeOf({ weightBits: 3 }), inner("relu"), "activationBits");
    expect(rule.default).toBe(true);
  });

  test("with a pattern that matches no layer is refused", () => {
    const recipe = recipeOf({ layers: { "block_*": { weightBits: 4 } } });
    expect(() => checkRecipe(recipe, new Set(["conv1", "dense"]))).toThrow(/^block_\*: .*conv1, dense/);
    expect(() => checkRecipe(recipe, new Set(["block_1"]))).not.toThrow();
  });
});

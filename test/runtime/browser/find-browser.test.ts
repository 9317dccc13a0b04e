import { describe, expect, test } from "vitest";
import { findBrowser, type Machine } from "../../../src/runtime/browser/find-browser.js";

const machine = (
  platform: NodeJS.Platform,
  programs: readonly string[],
  env: Machine["env"] = {},
): Machine => ({ platform, env, isProgram: (path) => programs.includes(path) });

describe("findBrowser without a name", () => {
  test.each<[string, Machine, string, string]>([
    [
      "Chromium before Chrome and Edge",
      machine("linux", ["/usr/bin/microsoft-edge", "/usr/bin/google-chrome", "/usr/bin/chromium"]),
      "/usr/bin/chromium",
      "Chromium",
    ],
    [
      "Chrome in /opt",
      machine("linux", ["/opt/google/chrome/chrome"]),
      "/opt/google/chrome/chrome",
      "Google Chrome",
    ],
    [
      "Edge on Linux",
      machine("linux", ["/opt/microsoft/msedge/msedge"]),
      "/opt/microsoft/msedge/msedge",
      "Microsoft Edge",
    ],
    [
      "one that only PATH knows",
      machine("linux", ["/home/me/bin/chromium"], { PATH: "/usr/bin::/home/me/bin" }),
      "/home/me/bin/chromium",
      "Chromium",
    ],
    [
      "a Mac's Chrome",
      machine("darwin", ["/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"]),
      "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
      "Google Chrome",
    ],
    [
      "the Edge of one user of a Mac",
      machine("darwin", ["/Users/me/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge"], {
        HOME: "/Users/me",
      }),
      "/Users/me/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
      "Microsoft Edge",
    ],
    [
      "Edge on Windows",
      machine("win32", ["C:\\Program Files (x86)\\Microsoft\\Edge\\Application\\msedge.exe"], {
        PROGRAMFILES: "C:\\Program Files",
        "PROGRAMFILES(X86)": "C:\\Program Files (x86)",
      }),
      "C:\\Program Files (x86)\\Microsoft\\Edge\\Application\\msedge.exe",
      "Microsoft Edge",
    ],
    [
      "one in PATH on Windows",
      machine("win32", ["D:\\tools\\chrome.exe"], { Path: "C:\\Windows;D:\\tools" }),
      "D:\\tools\\chrome.exe",
      "Google Chrome",
    ],
  ])("finds %s", (_, where, path, product) => {
    expect(findBrowser(undefined, where)).toEqual({ path, product });
  });

  test("finds none where there is none, and does not mind an environment without PATH", () => {
    expect(findBrowser(undefined, machine("linux", []))).toBeNull();
    expect(findBrowser(undefined, machine("darwin", []))).toBeNull();
    expect(findBrowser(undefined, machine("win32", []))).toBeNull();
  });
});

describe("findBrowser with a name", () => {
  const programs = ["/usr/bin/chromium", "/opt/one/chrome", "/opt/two/msedge", "/bin/google-chrome"];

  test("takes the named one before QDG_BROWSER, and that before the usual places", () => {
    const here = machine("linux", programs, { QDG_BROWSER: "/opt/one/chrome" });
    expect(findBrowser("/opt/two/msedge", here)).toEqual({
      path: "/opt/two/msedge",
      product: "Microsoft Edge",
    });
    expect(findBrowser(undefined, here)).toEqual({ path: "/opt/one/chrome", product: "Google Chrome" });
    expect(findBrowser(undefined, machine("linux", programs, { QDG_BROWSER: "" }))?.path).toBe(
      "/usr/bin/chromium",
    );
  });

  test("takes a bare name from PATH", () => {
    const here = machine("linux", programs, { PATH: "/bin" });
    expect(findBrowser("google-chrome", here)).toEqual({
      path: "/bin/google-chrome",
      product: "Google Chrome",
    });
  });

  test.each([
    ["a path that is no program", "/opt/none", "--browser", undefined],
    ["a name that PATH does not know", "firefox", "--browser", undefined],
    ["a path in QDG_BROWSER that is no program", undefined, "QDG_BROWSER", "/opt/none"],
  ])("refuses %s instead of taking another browser", (_, named, where, fromEnvironment) => {
    const here = machine("linux", programs, { PATH: "/bin", QDG_BROWSER: fromEnvironment });
    expect(() => findBrowser(named, here)).toThrow(
      expect.objectContaining({ code: "not-found", where }) as Error,
    );
  });
});

// A page of HTML without scripts. It loads nothing, and its own policy forbids the browser every request, so that a name
// out of a file could not make one either.

import { Markup, markup } from "./markup.js";
import { pageStyle } from "./page-style.js";

/**
 * @param title its heading too
 * @param style rules after those of every page; trusted
 * @returns the whole page
 */
export function staticPage(title: string, style: string, header: Markup, main: Markup): string {
  return markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>${title}</title>
<style>${new Markup(pageStyle() + style)}</style>
</head>
<body>
<header>
<h1>${title}</h1>
${header}</header>
<main>
${main}</main>
</body>
</html>
`.text;
}

// Tables of the pages that qdg writes. Knows no subject.

import { type Markup, markup, type MarkupValue } from "./markup.js";

/** A table that scrolls by itself where it is too wide, also by the keyboard. */
export function table(
  caption: string,
  header: readonly MarkupValue[],
  rows: readonly Markup[],
  kind: "numbers" | "texts" | "map" = "numbers",
): Markup {
  const cells = header.map((cell) => markup`<th scope="col">${cell}</th>`);
  return markup`<p class="caption">${caption}</p>
<div class="scroll" tabindex="0" role="region" aria-label="${caption}"><table class="${kind}" aria-label="${caption}">
<thead><tr>${cells}</tr></thead><tbody>
${rows}</tbody></table></div>
`;
}

/** @param main a row that stands out */
export function row(head: MarkupValue, cells: readonly MarkupValue[], main = false): Markup {
  const data = cells.map((cell) => markup`<td>${cell}</td>`);
  return markup`<tr class="${main ? "main" : ""}"><th scope="row">${head}</th>${data}</tr>
`;
}

// docs/api.md out of the sources: each export of an entry of the package, its docstring and its declaration.

import { type ClassDeclaration, type ExportedDeclarations, type JSDoc, Node, Project } from "ts-morph";

/** An entry of package.json and the source file that it is built from. */
export interface Entry {
  readonly name: string;
  readonly source: string;
}

export const ENTRIES: readonly Entry[] = [
  { name: "qdg", source: "src/index.ts" },
  { name: "qdg/train", source: "src/train.ts" },
  { name: "qdg/web", source: "src/web.ts" },
];

export interface ApiItem {
  readonly name: string;
  /** What it is to a reader: what can be called stands before what describes data. */
  readonly kind: "function" | "class" | "constant" | "type";
  /** The docstring in Markdown; "" where there is none. */
  readonly text: string;
  readonly declaration: string;
}

const ORDER: readonly ApiItem["kind"][] = ["function", "class", "constant", "type"];
const TITLES = { function: "Functions", class: "Classes", constant: "Constants", type: "Types" } as const;

/** Every export of the entry, in the order of the source. */
export function apiItems(top: string, { source }: Entry): readonly ApiItem[] {
  const project = new Project({
    tsConfigFilePath: `${top}/tsconfig.json`,
    skipAddingFilesFromTsConfig: true,
  });
  const file = project.addSourceFileAtPath(`${top}/${source}`);
  project.resolveSourceFileDependencies();
  return [...file.getExportedDeclarations()].flatMap(([name, [declared]]) =>
    declared ? [item(name, declared)] : [],
  );
}

export function apiPage(top: string): string {
  const parts = [
    "# API",
    "",
    "Made by `npm run docs` from the docstrings. Everything the commands do is a typed function: the library never prints and never ends the process,",
    "long calls take a `Progress`, and every error a caller can act on is a `QdgError` with a code.",
    "",
    ENTRIES.map(({ name }) => `[${name}](#${name.replaceAll("/", "")})`).join(" · "),
  ];
  for (const entry of ENTRIES) {
    const items = apiItems(top, entry);
    parts.push("", `## ${entry.name}`);
    for (const kind of ORDER) {
      const ofKind = items.filter((each) => each.kind === kind);
      if (ofKind.length === 0) continue;
      parts.push("", `### ${entry.name}: ${TITLES[kind].toLowerCase()}`);
      for (const { name, text, declaration } of ofKind) {
        parts.push("", `#### ${name}`, "");
        if (text !== "") parts.push(text, "");
        parts.push("```ts", declaration, "```");
      }
    }
  }
  return `${parts.join("\n")}\n`;
}

function item(name: string, declared: ExportedDeclarations): ApiItem {
  if (Node.isFunctionDeclaration(declared)) {
    const implementation = declared.getImplementation() ?? declared;
    const overloads = implementation.getOverloads();
    const shown = overloads.length > 0 ? overloads : [implementation];
    const text = docs([...overloads, implementation].flatMap((each) => each.getJsDocs()).slice(0, 1));
    const signatures = shown.map((each) => bare(each.getText(), each.getBody()?.getText()));
    return { name, kind: "function", text, declaration: signatures.join("\n") };
  }
  if (Node.isClassDeclaration(declared)) {
    return { name, kind: "class", text: docs(declared.getJsDocs()), declaration: publicPart(declared) };
  }
  if (Node.isVariableDeclaration(declared)) {
    const statement = declared.getVariableStatement();
    const type = declared.getTypeNode()?.getText() ?? declared.getInitializer()?.getText() ?? "unknown";
    const text = docs(statement?.getJsDocs() ?? []);
    return { name, kind: "constant", text, declaration: `const ${name}: ${type}` };
  }
  const text = Node.isJSDocable(declared) ? docs(declared.getJsDocs()) : "";
  return { name, kind: "type", text, declaration: bare(declared.getText()) };
}

/** Without `export` and without the body. */
function bare(text: string, body?: string): string {
  const shown = body === undefined ? text : text.slice(0, text.length - body.length);
  return shown
    .trim()
    .replace(/^export (default )?/, "")
    .replace(/^async /, "");
}

/** Public members of a class, methods without their bodies. */
function publicPart(declared: ClassDeclaration): string {
  const members = declared.getMembers().flatMap((member) => {
    if (Node.isClassStaticBlockDeclaration(member)) return [];
    if (!Node.isConstructorDeclaration(member) && member.getName().startsWith("#")) return [];
    if (Node.isModifierable(member) && member.hasModifier("private")) return [];
    const comment = Node.isJSDocable(member) ? member.getJsDocs().map((doc) => doc.getText()) : [];
    const body = Node.isBodied(member) || Node.isBodyable(member) ? member.getBody()?.getText() : undefined;
    const text = bare(member.getText(), body).replaceAll(/^async /gm, "");
    return [[...comment, `${text.replace(/;$/, "")};`].map((line) => `  ${line}`).join("\n")];
  });
  const base = declared.getExtends()?.getText();
  const head = `class ${declared.getName()}${base ? ` extends ${base}` : ""}`;
  return members.length > 0 ? `${head} {\n${members.join("\n")}\n}` : `${head} {}`;
}

/** The description, then parameters, results and errors as a list. */
function docs(comments: readonly JSDoc[]): string {
  return comments
    .map((comment) => {
      const tags = comment.getTags().map((tag) => {
        const words = (tag.getCommentText() ?? "").replaceAll(/\s*\n\s*/g, " ").trim();
        const named = Node.isJSDocParameterTag(tag) ? ` \`${tag.getName()}\`` : "";
        return `- ${LABELS[tag.getTagName()] ?? tag.getTagName()}${named}: ${links(words)}`;
      });
      return [links(comment.getDescription().trim()), ...(tags.length > 0 ? ["", ...tags] : [])]
        .join("\n")
        .trim();
    })
    .join("\n\n");
}

const LABELS: Readonly<Record<string, string>> = { param: "parameter", throws: "throws", returns: "returns" };

/** `{@link name}` as code. */
function links(text: string): string {
  return text.replaceAll(/\{@link ([^}]+)\}/g, "`$1`");
}

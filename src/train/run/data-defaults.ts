// What the data decides of a run before it begins: which domains are held out, and by which method it trains where
// nobody said. Knows the names of domains alone; no image is opened.

import { QdgError } from "../../base/error.js";
import { domainNames } from "../data/open-dataset.js";
import { some } from "../data/list-domains.js";
import { DEFAULT_METHOD } from "./option-table.js";
import { type AskedTrainOptions, NO_TEST_DOMAIN } from "./train-options.js";

/** Where one domain is all there is to learn from, a method that compares domains has nothing to compare. */
const ONE_DOMAIN_METHOD = "lsq";

/**
 * The asked options, with the test domain (none, where there is one domain only) and the method that follow from the
 * data where they were not asked for.
 *
 * @throws QdgError `usage` where there are several domains and none was named; what domainNames throws
 */
export async function withDataDefaults(asked: AskedTrainOptions): Promise<AskedTrainOptions> {
  // Without data there is nothing to look at; completeOptions says so.
  if (typeof asked.data !== "string") return asked;
  if (asked.unlabeled === true) return withoutDomains(asked);
  const names = await domainNames(asked.data);
  const testDomain = asked.testDomain ?? (names.length === 1 ? [NO_TEST_DOMAIN] : undefined);
  if (testDomain === undefined) {
    throw new QdgError(
      "usage",
      "--test-domain",
      `got nothing, and ${asked.data} has ${names.length} domains (${some(names)}); expected those that are never trained on, or ${NO_TEST_DOMAIN}`,
    );
  }
  const held = heldOut(testDomain, names);
  const sources = names.filter((name) => !held.includes(name));
  const method = asked.method ?? (sources.length > 1 ? DEFAULT_METHOD : ONE_DOMAIN_METHOD);
  return { ...asked, testDomain, method };
}

/** Images without classes are one domain, of which nothing is held out. */
function withoutDomains(asked: AskedTrainOptions): AskedTrainOptions {
  const { testDomain = [NO_TEST_DOMAIN], method = ONE_DOMAIN_METHOD } = asked;
  if (testDomain.length === 1 && testDomain[0] === NO_TEST_DOMAIN) return { ...asked, testDomain, method };
  throw new QdgError(
    "usage",
    "--test-domain",
    `got ${testDomain.join(", ")}, but --unlabeled knows no domains; leave it out`,
  );
}

/**
 * The names of the domains that are held out.
 *
 * @param names of all domains
 * @throws QdgError `usage` for "none" beside a name, and where it is the name of a domain
 */
export function heldOut(testDomain: readonly string[], names: readonly string[]): readonly string[] {
  if (!testDomain.includes(NO_TEST_DOMAIN)) return testDomain;
  const refused = (what: string): QdgError =>
    new QdgError("usage", "--test-domain", `got ${testDomain.join(", ")}, ${what}`);
  if (testDomain.length > 1) throw refused(`expected ${NO_TEST_DOMAIN} alone, or names of domains`);
  if (names.includes(NO_TEST_DOMAIN))
    throw refused("which stands for no domain, but the data has one of that name; rename its folder");
  return [];
}

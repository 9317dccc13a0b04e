// The version of the tool, as files state it. A test compares it with package.json.

export const VERSION = "0.1.0";

// Reads JSON lists [[where, formula], …] from standard input; prints those that KaTeX refuses, as JSON.
const katex = require("katex");
const items = JSON.parse(require("fs").readFileSync(0, "utf8"));
const bad = [];
for (const [where, formula] of items) {
  try {
    katex.renderToString(formula, { displayMode: true, throwOnError: true, strict: "error", trust: false, output: "mathml" });
  } catch (error) {
    bad.push([where, formula, String(error.message || error)]);
  }
}
process.stdout.write(JSON.stringify(bad));

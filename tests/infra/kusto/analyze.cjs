// Analyzes KQL with Microsoft's parser. Reads {tables, externals, queries} as JSON from standard input, and writes of each query
// its problems, the columns it returns with their types, and the functions, operators and plug-ins that it names.
"use strict";
const fs = require("fs");
const path = require("path");
const vm = require("vm");

const folder = path.dirname(require.resolve("@kusto/language-service-next/package.json"));
for (const name of ["bridge.min.js", "Kusto.Language.Bridge.min.js"]) {
  vm.runInThisContext(fs.readFileSync(path.join(folder, name), "utf8"), name);
}
const { KustoCode, GlobalState, Symbols } = Kusto.Language;
const input = JSON.parse(fs.readFileSync(0, "utf8"));

const table = ([name, columns]) => {
  const schema = Object.entries(columns).map(([column, type]) => `['${column}']: ${type}`);
  return Symbols.TableSymbol.From(`(${schema.join(", ")})`).WithName(name);
};
const tables = Object.entries(input.tables).map(table);
const externals = Object.entries(input.externals).map((one) => {
  const { Columns } = table(one);
  return new Symbols.ExternalTableSymbol.$ctor3(one[0], Columns, null);
});
const database = new Symbols.DatabaseSymbol.ctor("workspace", [...tables, ...externals]);
const globals = GlobalState.Default.WithDatabase(database);

const list = (collection) => {
  const found = [];
  for (let i = 0; i < collection.Count; i++) found.push(collection.getItem(i));
  return found;
};

const output = {};
for (const [name, text] of Object.entries(input.queries)) {
  const code = KustoCode.ParseAndAnalyze(text, globals);
  const problems = list(code.GetDiagnostics())
    .filter((one) => one.Severity !== "Suggestion")
    .map((one) => `line ${text.slice(0, one.Start).split("\n").length}: ${one.Message}`);
  const result = code.ResultType;
  const columns = {};
  if (result && result.Columns) for (const column of list(result.Columns)) columns[column.Name] = column.Type.Name;
  const names = new Set();
  Kusto.Language.Syntax.SyntaxElement.WalkNodes(code.Syntax, (node) => {
    if (node.ReferencedSymbol instanceof Symbols.FunctionSymbol) names.add(node.ReferencedSymbol.Name);
  });
  output[name] = { problems, columns, functions: [...names].sort() };
}
process.stdout.write(JSON.stringify(output));

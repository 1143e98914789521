// Reads columns of a Parquet file with a reader from npm: `node readers.mjs <reader> <file> <column>...`.
// Prints a JSON array of rows; parquet-wasm writes an Arrow IPC stream instead, which is its form of a table.
import { readFileSync, writeSync } from "node:fs";

const [reader, path, ...columns] = process.argv.slice(2);

const readers = {
  async parquetjs() {
    const { default: parquet } = await import("@dsnp/parquetjs");
    const file = await parquet.ParquetReader.openFile(path);
    const cursor = file.getCursor(columns.map((name) => [name]));
    const rows = [];
    for (let row = await cursor.next(); row; row = await cursor.next()) rows.push(columns.map((name) => row[name]));
    await file.close();
    return rows;
  },
  async hyparquet() {
    const { asyncBufferFromFile, parquetReadObjects } = await import("hyparquet");
    const file = await asyncBufferFromFile(path);
    const rows = await parquetReadObjects({ file, columns });
    return rows.map((row) => columns.map((name) => row[name]));
  },
  async "parquet-wasm"() {
    const { readParquet } = await import("parquet-wasm/node");
    return readParquet(readFileSync(path), { columns }).intoIPCStream();
  },
};

const plain = (_, value) => (typeof value === "bigint" ? Number(value) : value);
const found = await readers[reader]();
writeSync(1, found instanceof Uint8Array ? found : JSON.stringify(found, plain));

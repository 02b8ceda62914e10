// minio-js against a server, in one encryption mode.
//
//   node minio.mjs MODE BUCKET KEY     MODE: sse-s3, sse-kms or sse-c; KEY: the KMS key's name
//
// Server and credentials come from AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY; the authority from
// NODE_EXTRA_CA_CERTS.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { Client, CopyDestinationOptions, CopySourceOptions } from "minio";

const [mode, bucket, kmsKey] = process.argv.slice(2);
const address = new URL(process.env.AWS_ENDPOINT_URL);
const client = new Client({
  endPoint: address.hostname,
  port: Number(address.port),
  useSSL: address.protocol === "https:",
  accessKey: process.env.AWS_ACCESS_KEY_ID,
  secretKey: process.env.AWS_SECRET_ACCESS_KEY,
  partSize: (mode === "sse-c" ? 64 : 5) * 2 ** 20, // minio-js sends no customer key with parts
});
const key = randomBytes(32);
const write = {
  "sse-s3": { "X-Amz-Server-Side-Encryption": "AES256" },
  "sse-kms": {
    "X-Amz-Server-Side-Encryption": "aws:kms",
    "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id": kmsKey,
  },
  "sse-c": {
    "X-Amz-Server-Side-Encryption-Customer-Algorithm": "AES256",
    "X-Amz-Server-Side-Encryption-Customer-Key": key.toString("base64"),
    "X-Amz-Server-Side-Encryption-Customer-Key-MD5": createHash("md5").update(key).digest("base64"),
  },
}[mode];
const customer = {
  SSECustomerAlgorithm: "AES256",
  SSECustomerKey: key.toString("base64"),
  SSECustomerKeyMD5: createHash("md5").update(key).digest("base64"),
};
const read = mode === "sse-c" ? customer : {};

const get = async (name) => buffer(await client.getObject(bucket, name, read));

async function roundTrip(name, size, body = (data) => data, metadata = {}) {
  const data = randomBytes(size);
  await client.putObject(bucket, name, body(data), size, { ...write, ...metadata });
  assert.ok(data.equals(await get(name)), `same bytes: ${name}`);
  return data;
}

async function objects() {
  await roundTrip("empty", 0);
  await roundTrip("dir/a + b/päckage 1", 65537);
  await roundTrip("metadata", 10, undefined, { "X-Amz-Meta-Colour": "blue", "Content-Type": "text/x-test" });
  const stream = await client.getObject(bucket, "metadata", read);
  const { headers } = stream.resume();
  assert.deepEqual([headers["x-amz-meta-colour"], headers["content-type"]], ["blue", "text/x-test"]);
  for (const name of ["", "-customer-algorithm"].map((end) => `x-amz-server-side-encryption${end}`)) {
    const wanted = Object.entries(write).find(([header]) => header.toLowerCase() === name);
    assert.equal(headers[name], wanted?.[1], name);
  }
  const data = await roundTrip("multi", 12 * 2 ** 20 + 1, (bytes) => Readable.from([bytes]));
  const start = 5 * 2 ** 20 - 3;
  const piece = await buffer(await client.getPartialObject(bucket, "multi", start, 70_000, read));
  assert.ok(piece.equals(data.subarray(start, start + 70_000)), "a range over two parts");
  return data;
}

// minio-js has no copy with a customer's key on both sides
async function copies(data) {
  if (mode === "sse-c") return;
  const source = new CopySourceOptions({ Bucket: bucket, Object: "multi" });
  const target = new CopyDestinationOptions({ Bucket: bucket, Object: "copied", Headers: write });
  await client.copyObject(source, target);
  assert.ok(data.equals(await get("copied")), "same bytes: copied");
}

async function listing() {
  const names = [];
  for await (const found of client.listObjectsV2(bucket, "", true)) names.push(found.name);
  const copied = mode === "sse-c" ? [] : ["copied"];
  assert.deepEqual(names, [...copied, "dir/a + b/päckage 1", "empty", "metadata", "multi"]);
  for await (const found of client.listObjects(bucket, "d", false)) assert.equal(found.prefix, "dir/");
  return names;
}

async function refusals() {
  await assert.rejects(client.statObject(bucket, "nothing"), { code: "NotFound" });
  if (mode !== "sse-c") return;
  await assert.rejects(client.getObject(bucket, "multi"), { code: "InvalidRequest" });
}

async function removal(names) {
  await client.removeObject(bucket, "empty");
  await client.removeObjects(bucket, names);
  await client.removeBucket(bucket);
  assert.equal(await client.bucketExists(bucket), false);
}

await client.makeBucket(bucket);
const data = await objects();
await copies(data);
await refusals();
await removal(await listing());
console.log("all well");

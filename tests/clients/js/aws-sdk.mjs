// The AWS SDK for JavaScript v3 against a server, in one encryption mode.
//
//   node aws-sdk.mjs MODE BUCKET KEY     MODE: sse-s3, sse-kms, dsse or sse-c; KEY: the KMS key's name
//
// Server and credentials come from AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY; the authority
// from NODE_EXTRA_CA_CERTS.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import * as s3 from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";

const [mode, Bucket, kmsKey] = process.argv.slice(2);
const client = new s3.S3Client({ forcePathStyle: true });
const send = (name, input) => client.send(new s3[`${name}Command`]({ Bucket, ...input }));
const own = (key) => ({
  SSECustomerAlgorithm: "AES256",
  SSECustomerKey: key.toString("base64"),
  SSECustomerKeyMD5: createHash("md5").update(key).digest("base64"),
});
const customer = own(randomBytes(32));
const write = {
  "sse-s3": { ServerSideEncryption: "AES256" },
  "sse-kms": { ServerSideEncryption: "aws:kms", SSEKMSKeyId: kmsKey },
  dsse: { ServerSideEncryption: "aws:kms:dsse", SSEKMSKeyId: kmsKey },
  "sse-c": customer,
}[mode];
const read = mode === "sse-c" ? customer : {};
const copySource = Object.fromEntries(Object.entries(read).map(([name, value]) => [`CopySource${name}`, value]));

async function get(Key, more = {}) {
  const answer = await send("GetObject", { Key, ...read, ...more });
  for (const name of ["ServerSideEncryption", "SSECustomerAlgorithm"]) assert.equal(answer[name], write[name], name);
  return Buffer.from(await answer.Body.transformToByteArray());
}

async function roundTrip(Key, size, more = {}) {
  const data = randomBytes(size);
  const put = await send("PutObject", { Key, Body: data, ...write, ...more });
  assert.ok(data.equals(await get(Key)), `same bytes: ${Key}`);
  const head = await send("HeadObject", { Key, ...read });
  assert.equal(head.ContentLength, size);
  assert.equal(head.ETag, put.ETag);
  return data;
}

async function objects() {
  await roundTrip("empty", 0);
  await roundTrip("dir/a + b/päckage 1", 65537);
  await roundTrip("checksum", 200_000, { ChecksumAlgorithm: "SHA256" });
  await roundTrip("metadata", 10, { Metadata: { colour: "blue" }, ContentType: "text/x-test", Tagging: "a=b" });
  const head = await send("HeadObject", { Key: "metadata", ...read });
  assert.deepEqual([head.Metadata, head.ContentType], [{ colour: "blue" }, "text/x-test"]);
  assert.deepEqual((await send("GetObjectTagging", { Key: "metadata" })).TagSet, [{ Key: "a", Value: "b" }]);
}

async function multipart() {
  const data = randomBytes(12 * 2 ** 20 + 1);
  const params = { Bucket, Key: "multi", Body: Readable.from([data]), ...write };
  await new Upload({ client, params, partSize: 5 * 2 ** 20 }).done();
  assert.ok(data.equals(await get("multi")), "same bytes: multi");
  const start = 5 * 2 ** 20 - 3;
  const piece = await get("multi", { Range: `bytes=${start}-${start + 69_999}` });
  assert.ok(piece.equals(data.subarray(start, start + 70_000)), "a range over two parts");
  assert.ok((await get("multi", { PartNumber: 3 })).equals(data.subarray(10 * 2 ** 20)), "the third part");
  const aborted = await send("CreateMultipartUpload", { Key: "never", ...write });
  await send("UploadPart", { Key: "never", UploadId: aborted.UploadId, PartNumber: 1, Body: "x", ...read });
  assert.equal((await send("ListMultipartUploads", {})).Uploads.length, 1);
  assert.equal((await send("ListParts", { Key: "never", UploadId: aborted.UploadId })).Parts[0].Size, 1);
  await send("AbortMultipartUpload", { Key: "never", UploadId: aborted.UploadId });
  return data;
}

async function copies(data) {
  const CopySource = `${Bucket}/multi`;
  await send("CopyObject", { Key: "copied", CopySource, ...copySource, ...write });
  assert.ok(data.equals(await get("copied")), "same bytes: copied");
  const { UploadId } = await send("CreateMultipartUpload", { Key: "composed", ...write });
  const part = { Key: "composed", UploadId, PartNumber: 1, CopySource, CopySourceRange: "bytes=1-6000000" };
  const copied = await send("UploadPartCopy", { ...part, ...copySource, ...read });
  const Parts = [{ PartNumber: 1, ETag: copied.CopyPartResult.ETag }];
  await send("CompleteMultipartUpload", { Key: "composed", UploadId, MultipartUpload: { Parts }, ...read });
  assert.ok(data.subarray(1, 6_000_001).equals(await get("composed")), "same bytes: composed");
}

async function refusals() {
  await assert.rejects(send("GetObject", { Key: "nothing" }), { name: "NoSuchKey" });
  await assert.rejects(send("PutObject", { Key: "multi", Body: "x", IfNoneMatch: "*", ...write }), {
    name: "PreconditionFailed",
  });
  if (mode !== "sse-c") return;
  const status = (key) => send("GetObject", { Key: "multi", ...key }).catch((error) => error.$metadata.httpStatusCode);
  assert.equal(await status({}), 400, "SSE-C without its key");
  assert.equal(await status(own(randomBytes(32))), 403, "SSE-C with another key");
}

async function listing() {
  const names = [];
  for await (const page of s3.paginateListObjectsV2({ client, pageSize: 2 }, { Bucket })) {
    names.push(...page.Contents.map((found) => found.Key));
  }
  const wanted = ["checksum", "composed", "copied", "dir/a + b/päckage 1", "empty", "metadata", "multi"];
  assert.deepEqual(names, wanted);
  const page = await send("ListObjects", { Delimiter: "/", Prefix: "d" });
  assert.deepEqual(page.CommonPrefixes, [{ Prefix: "dir/" }]);
  return names;
}

async function removal(names) {
  await send("DeleteObject", { Key: "empty" });
  const deleted = await send("DeleteObjects", { Delete: { Objects: names.map((Key) => ({ Key })) } });
  assert.equal(deleted.Deleted.length, names.length);
  await send("DeleteBucket", {});
  await assert.rejects(send("HeadBucket", {}), { name: "NotFound" });
}

await send("CreateBucket", {});
await objects();
await copies(await multipart());
await refusals();
await removal(await listing());
console.log("all well");

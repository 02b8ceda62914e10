// minio-go against a server: everything a program does with objects, in one encryption mode.
//
//	go run . MODE BUCKET [KEY]     MODE: sse-s3, sse-kms or sse-c; KEY: the KMS key's name
//
// The server and the credentials come from AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and SSL_CERT_FILE.
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"sort"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/encrypt"
	"github.com/minio/minio-go/v7/pkg/tags"
)

var ctx = context.Background()

func must(err error, what string) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", what, err)
		os.Exit(1)
	}
}

func check(good bool, what string) {
	if !good {
		must(fmt.Errorf("not so"), what)
	}
}

func value[T any](got T, err error) T {
	must(err, "call")
	return got
}

func randomBytes(size int) []byte {
	data := make([]byte, size)
	value(rand.Read(data))
	return data
}

// mode returns the encryption to write with, the one to read with (nil: the server holds the key) and the answer's header.
func mode(name, key string) (write, read encrypt.ServerSide, header, wanted string) {
	switch name {
	case "sse-s3":
		return encrypt.NewSSE(), nil, "X-Amz-Server-Side-Encryption", "AES256"
	case "sse-kms":
		return value(encrypt.NewSSEKMS(key, map[string]string{"team": "a"})), nil, "X-Amz-Server-Side-Encryption", "aws:kms"
	default:
		own := value(encrypt.NewSSEC(randomBytes(32)))
		return own, own, "X-Amz-Server-Side-Encryption-Customer-Algorithm", "AES256"
	}
}

type desk struct {
	client         *minio.Client
	bucket         string
	write, read    encrypt.ServerSide
	header, wanted string
}

func (d desk) get(key string, options minio.GetObjectOptions) []byte {
	options.ServerSideEncryption = d.read
	object := value(d.client.GetObject(ctx, d.bucket, key, options))
	defer object.Close()
	return value(io.ReadAll(object))
}

func (d desk) roundTrip(key string, size int, options minio.PutObjectOptions) []byte {
	data := randomBytes(size)
	options.ServerSideEncryption = d.write
	info, err := d.client.PutObject(ctx, d.bucket, key, bytes.NewReader(data), int64(size), options)
	must(err, "put "+key)
	check(bytes.Equal(d.get(key, minio.GetObjectOptions{}), data), "same bytes: "+key)
	stat, err := d.client.StatObject(ctx, d.bucket, key, minio.StatObjectOptions{ServerSideEncryption: d.read})
	must(err, "stat "+key)
	check(stat.Size == int64(size) && stat.ETag == info.ETag, "stat's size and ETag: "+key)
	check(stat.Metadata.Get(d.header) == d.wanted, "stat's encryption: "+key)
	return data
}

func (d desk) objects() {
	d.roundTrip("empty", 0, minio.PutObjectOptions{})
	d.roundTrip("dir/a + b/päckage 1", 65537, minio.PutObjectOptions{})
	d.roundTrip("with-md5", 200_000, minio.PutObjectOptions{SendContentMd5: true})
	d.roundTrip("with-checksum", 200_000, minio.PutObjectOptions{Checksum: minio.ChecksumCRC32C})
	d.roundTrip("with-metadata", 10, minio.PutObjectOptions{
		UserMetadata: map[string]string{"colour": "blue"}, ContentType: "text/x-test", UserTags: map[string]string{"a": "b"},
	})
	stat := value(d.client.StatObject(ctx, d.bucket, "with-metadata", minio.StatObjectOptions{ServerSideEncryption: d.read}))
	check(stat.UserMetadata["Colour"] == "blue" && stat.ContentType == "text/x-test", "metadata")
	check(value(d.client.GetObjectTagging(ctx, d.bucket, "with-metadata", minio.GetObjectTaggingOptions{})).ToMap()["a"] == "b", "tags")
	must(d.client.PutObjectTagging(ctx, d.bucket, "with-metadata", value(tags.NewTags(map[string]string{"c": "d"}, true)), minio.PutObjectTaggingOptions{}), "tag")
}

func (d desk) multipart() {
	size := 12<<20 + 1
	data := d.roundTrip("multi", size, minio.PutObjectOptions{PartSize: 5 << 20, Checksum: minio.ChecksumSHA256})
	part := minio.GetObjectOptions{}
	must(part.SetRange(5<<20-3, 5<<20+70_000), "range")
	check(bytes.Equal(d.get("multi", part), data[5<<20-3:5<<20+70_001]), "a range over two parts")
	stream, options := io.MultiReader(bytes.NewReader(data)), minio.PutObjectOptions{PartSize: 5 << 20, ServerSideEncryption: d.write}
	_, err := d.client.PutObject(ctx, d.bucket, "streamed", stream, -1, options)
	must(err, "a stream of unknown size")
	check(bytes.Equal(d.get("streamed", minio.GetObjectOptions{}), data), "same bytes: streamed")
}

func (d desk) copies() {
	source := minio.CopySrcOptions{Bucket: d.bucket, Object: "multi"}
	if d.read != nil {
		source.Encryption = encrypt.SSECopy(d.read)
	}
	_, err := d.client.CopyObject(ctx, minio.CopyDestOptions{Bucket: d.bucket, Object: "copied", Encryption: d.write}, source)
	must(err, "copy")
	_, err = d.client.ComposeObject(ctx, minio.CopyDestOptions{Bucket: d.bucket, Object: "composed", Encryption: d.write}, source, source)
	must(err, "compose of parts")
	whole := d.get("multi", minio.GetObjectOptions{})
	check(bytes.Equal(d.get("copied", minio.GetObjectOptions{}), whole), "same bytes: copied")
	check(bytes.Equal(d.get("composed", minio.GetObjectOptions{}), append(whole, whole...)), "same bytes: composed")
}

func (d desk) refusals() {
	_, err := d.client.StatObject(ctx, d.bucket, "nothing", minio.StatObjectOptions{})
	check(minio.ToErrorResponse(err).Code == "NoSuchKey", "a missing key")
	if d.read == nil {
		return
	}
	_, err = d.client.StatObject(ctx, d.bucket, "multi", minio.StatObjectOptions{})
	check(minio.ToErrorResponse(err).StatusCode == 400, "SSE-C without its key")
	other := value(encrypt.NewSSEC(randomBytes(32)))
	_, err = d.client.StatObject(ctx, d.bucket, "multi", minio.StatObjectOptions{ServerSideEncryption: other})
	check(minio.ToErrorResponse(err).StatusCode == 403, "SSE-C with another key")
}

func (d desk) listing() {
	var names []string
	for found := range d.client.ListObjects(ctx, d.bucket, minio.ListObjectsOptions{Recursive: true}) {
		must(found.Err, "list")
		check(found.Key != "multi" || found.Size == 12<<20+1, "listed size")
		names = append(names, found.Key)
	}
	wanted := "composed,copied,dir/a + b/päckage 1,empty,multi,streamed,with-checksum,with-md5,with-metadata"
	check(strings.Join(names, ",") == wanted && sort.StringsAreSorted(names), "listing: "+strings.Join(names, ","))
	for found := range d.client.ListObjects(ctx, d.bucket, minio.ListObjectsOptions{Prefix: "d", UseV1: true}) {
		check(found.Key == "dir/", "common prefix")
	}
}

func (d desk) presigned() {
	if d.read != nil {
		return
	}
	link := value(d.client.PresignedGetObject(ctx, d.bucket, "with-metadata", time.Minute, url.Values{}))
	answer := value(http.Get(link.String()))
	defer answer.Body.Close()
	check(answer.StatusCode == 200 && len(value(io.ReadAll(answer.Body))) == 10, "presigned")
}

func (d desk) removal() {
	must(d.client.RemoveObject(ctx, d.bucket, "empty", minio.RemoveObjectOptions{}), "remove")
	names := d.client.ListObjects(ctx, d.bucket, minio.ListObjectsOptions{Recursive: true})
	for failed := range d.client.RemoveObjects(ctx, d.bucket, names, minio.RemoveObjectsOptions{}) {
		must(failed.Err, "remove many")
	}
	must(d.client.RemoveBucket(ctx, d.bucket), "remove bucket")
	check(!value(d.client.BucketExists(ctx, d.bucket)), "bucket is gone")
}

func main() {
	name, bucket, key := os.Args[1], os.Args[2], os.Args[3]
	address := value(url.Parse(os.Getenv("AWS_ENDPOINT_URL")))
	client := value(minio.New(address.Host, &minio.Options{
		Creds: credentials.NewEnvAWS(), Secure: address.Scheme == "https", TrailingHeaders: true,
	}))
	write, read, header, wanted := mode(name, key)
	d := desk{client, bucket, write, read, header, wanted}
	must(client.MakeBucket(ctx, bucket, minio.MakeBucketOptions{}), "make bucket")
	for _, step := range []func(){d.objects, d.multipart, d.copies, d.refusals, d.listing, d.presigned, d.removal} {
		step()
	}
	fmt.Println("all well")
}

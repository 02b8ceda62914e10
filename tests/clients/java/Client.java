import com.amazonaws.ClientConfiguration;
import com.amazonaws.auth.EnvironmentVariableCredentialsProvider;
import com.amazonaws.client.builder.AwsClientBuilder.EndpointConfiguration;
import com.amazonaws.services.s3.AmazonS3;
import com.amazonaws.services.s3.AmazonS3ClientBuilder;
import com.amazonaws.services.s3.model.*;
import com.amazonaws.services.s3.transfer.TransferManager;
import com.amazonaws.services.s3.transfer.TransferManagerBuilder;
import com.amazonaws.util.IOUtils;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import javax.crypto.spec.SecretKeySpec;

/**
 * The AWS SDK for Java v1 against a server, in one encryption mode. It checks ETags as MD5 where it takes them for one.
 *
 * <p>java -cp JARS Client.java MODE BUCKET KEY (sse-s3, sse-kms, sse-c). Server and credentials come from
 * AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY; the authority from javax.net.ssl.trustStore.
 */
public class Client {
    static final int MIB = 1 << 20;
    final AmazonS3 s3;
    final String mode, bucket, kmsKey;
    final SSECustomerKey own = newKey(1);

    Client(String mode, String bucket, String kmsKey) {
        this.mode = mode;
        this.bucket = bucket;
        this.kmsKey = kmsKey;
        s3 = AmazonS3ClientBuilder.standard()
                .withEndpointConfiguration(new EndpointConfiguration(System.getenv("AWS_ENDPOINT_URL"), "us-east-1"))
                .withCredentials(new EnvironmentVariableCredentialsProvider())
                .withClientConfiguration(new ClientConfiguration().withMaxErrorRetry(0))
                .withPathStyleAccessEnabled(true)
                .build();
    }

    static SSECustomerKey newKey(int seed) {
        return new SSECustomerKey(new SecretKeySpec(bytes(32, seed), "AES"));
    }

    static byte[] bytes(int size, int seed) {
        byte[] made = new byte[size];
        new Random(seed).nextBytes(made);
        return made;
    }

    static void check(boolean good, String what) {
        if (!good) throw new AssertionError(what);
    }

    boolean customer() {
        return mode.equals("sse-c");
    }

    PutObjectRequest put(String key, byte[] data, ObjectMetadata metadata) {
        metadata.setContentLength(data.length);
        if (mode.equals("sse-s3")) metadata.setSSEAlgorithm(ObjectMetadata.AES_256_SERVER_SIDE_ENCRYPTION);
        PutObjectRequest request = new PutObjectRequest(bucket, key, new ByteArrayInputStream(data), metadata);
        if (mode.equals("sse-kms")) request.withSSEAwsKeyManagementParams(new SSEAwsKeyManagementParams(kmsKey));
        return customer() ? request.withSSECustomerKey(own) : request;
    }

    GetObjectRequest get(String key) {
        GetObjectRequest request = new GetObjectRequest(bucket, key);
        return customer() ? request.withSSECustomerKey(own) : request;
    }

    byte[] read(GetObjectRequest request) throws IOException {
        try (S3Object object = s3.getObject(request)) {
            return IOUtils.toByteArray(object.getObjectContent());
        }
    }

    ObjectMetadata head(String key) {
        GetObjectMetadataRequest request = new GetObjectMetadataRequest(bucket, key);
        return s3.getObjectMetadata(customer() ? request.withSSECustomerKey(own) : request);
    }

    void roundTrip(String key, int size) throws IOException {
        byte[] data = bytes(size, size);
        PutObjectResult answer = s3.putObject(put(key, data, new ObjectMetadata()));
        check(Arrays.equals(read(get(key)), data), "same bytes: " + key);
        ObjectMetadata found = head(key);
        check(found.getContentLength() == size && found.getETag().equals(answer.getETag()), "head: " + key);
        String wanted = mode.equals("sse-kms") ? "aws:kms" : "AES256";
        check(wanted.equals(customer() ? found.getSSECustomerAlgorithm() : found.getSSEAlgorithm()), "mode: " + key);
    }

    void objects() throws IOException {
        roundTrip("empty", 0);
        roundTrip("dir/a + b/p\u00e4ckage 1", 65537);
        roundTrip("large", 5 * MIB);
        ObjectMetadata metadata = new ObjectMetadata();
        metadata.addUserMetadata("colour", "blue");
        metadata.setContentType("text/x-test");
        s3.putObject(put("metadata", bytes(10, 1), metadata));
        ObjectMetadata found = head("metadata");
        check(found.getUserMetaDataOf("colour").equals("blue") && found.getContentType().equals("text/x-test"), "metadata");
    }

    byte[] multipart() throws Exception {
        byte[] data = bytes(12 * MIB + 1, 7);
        TransferManager transfers = TransferManagerBuilder.standard().withS3Client(s3)
                .withMultipartUploadThreshold((long) (6 * MIB)).withMinimumUploadPartSize((long) (5 * MIB)).build();
        transfers.upload(put("multi", data, new ObjectMetadata())).waitForCompletion();
        check(Arrays.equals(read(get("multi")), data), "same bytes: multi");
        byte[] piece = read(get("multi").withRange(5 * MIB - 3, 5 * MIB + 69_996));
        check(Arrays.equals(piece, Arrays.copyOfRange(data, 5 * MIB - 3, 5 * MIB + 69_997)), "a range over two parts");
        transfers.shutdownNow(false);
        return data;
    }

    void copies(byte[] data) throws IOException {
        CopyObjectRequest request = new CopyObjectRequest(bucket, "multi", bucket, "copied");
        if (customer()) request.withSourceSSECustomerKey(own).withDestinationSSECustomerKey(own);
        if (mode.equals("sse-kms")) request.withSSEAwsKeyManagementParams(new SSEAwsKeyManagementParams(kmsKey));
        if (mode.equals("sse-s3")) {
            ObjectMetadata metadata = new ObjectMetadata();
            metadata.setSSEAlgorithm(ObjectMetadata.AES_256_SERVER_SIDE_ENCRYPTION);
            request.withNewObjectMetadata(metadata);
        }
        s3.copyObject(request);
        check(Arrays.equals(read(get("copied")), data), "same bytes: copied");
    }

    int refused(GetObjectRequest request) {
        try {
            s3.getObject(request);
        } catch (AmazonS3Exception error) {
            return error.getStatusCode();
        }
        return 200;
    }

    void refusals() {
        check(refused(new GetObjectRequest(bucket, "nothing")) == 404, "a missing key");
        if (!customer()) return;
        check(refused(new GetObjectRequest(bucket, "multi")) == 400, "SSE-C without its key");
        check(refused(new GetObjectRequest(bucket, "multi").withSSECustomerKey(newKey(2))) == 403, "SSE-C with another key");
    }

    void listing() {
        List<String> names = new ArrayList<>();
        ObjectListing page = s3.listObjects(new ListObjectsRequest().withBucketName(bucket).withMaxKeys(2));
        while (true) {
            for (S3ObjectSummary found : page.getObjectSummaries()) names.add(found.getKey());
            if (!page.isTruncated()) break;
            page = s3.listNextBatchOfObjects(page);
        }
        List<String> wanted = List.of("copied", "dir/a + b/p\u00e4ckage 1", "empty", "large", "metadata", "multi");
        check(names.equals(wanted), "listing: " + names);
        ListObjectsV2Request folders = new ListObjectsV2Request().withBucketName(bucket).withDelimiter("/").withPrefix("d");
        check(s3.listObjectsV2(folders).getCommonPrefixes().equals(List.of("dir/")), "common prefix");
    }

    void removal() {
        s3.deleteObject(bucket, "empty");
        DeleteObjectsRequest rest = new DeleteObjectsRequest(bucket)
                .withKeys("copied", "dir/a + b/p\u00e4ckage 1", "large", "metadata", "multi");
        check(s3.deleteObjects(rest).getDeletedObjects().size() == 5, "deleted");
        s3.deleteBucket(bucket);
        check(!s3.doesBucketExistV2(bucket), "bucket is gone");
    }

    public static void main(String[] words) throws Exception {
        Client client = new Client(words[0], words[1], words[2]);
        client.s3.createBucket(client.bucket);
        client.objects();
        client.copies(client.multipart());
        client.refusals();
        client.listing();
        client.removal();
        System.out.println("all well");
    }
}

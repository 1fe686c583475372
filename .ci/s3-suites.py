"""The part of s3-suites that is in Python: a smoke test by boto3, and the judgement of a suite's log."""

import fnmatch
import os
import sys


def judge(suite, target, log, known):
    """Prints what failed, and fails if something did that the list of known failures does not name."""
    expected = []
    with open(known) as f:
        for line in f:
            line = line.split("#")[0].split()
            if len(line) == 3 and line[0] == suite and fnmatch.fnmatch(target, line[1]):
                expected.append(line[2])
    passed, failed, new = 0, 0, []
    with open(log, errors="replace") as f:
        for line in f:
            word, _, rest = line.strip().partition(" ")
            name, _, reason = rest.partition(" ")
            if word == "PASS":
                passed += 1
            elif word == "FAIL":
                failed += 1
                if not any(fnmatch.fnmatchcase(name, e) for e in expected):
                    new.append((name, reason))
    print(f"   {passed} passed, {failed} failed, {len(new)} of them unexpectedly")
    for name, reason in new:
        print(f"   {name}: {reason[:300]}")
    return 1 if new or not passed else 0


def smoke(endpoint, bucket, data):
    import boto3
    from boto3.s3.transfer import TransferConfig
    from botocore.client import Config
    from botocore.exceptions import ClientError

    s3 = boto3.client("s3", endpoint_url=endpoint, config=Config(signature_version="s3v4", s3={"addressing_style": "path"}))

    def step(name, f):
        try:
            f()
            print("PASS", name)
        except Exception as e:  # noqa: BLE001 what fails is reported
            print("FAIL", name, repr(e).replace("\n", " "))

    def equal(got, want):
        assert got == want, f"{got!r}, want {want!r}"

    def refused(code, f):
        try:
            f()
        except ClientError as e:
            return equal(e.response["Error"]["Code"], code)
        raise AssertionError(f"no error, want {code}")

    large = os.path.join(data, "large")
    with open(large, "wb") as f:
        f.write(os.urandom(20 << 20))
    back = os.path.join(data, "back")
    config = TransferConfig(multipart_threshold=6 << 20, multipart_chunksize=5 << 20)
    step("create-bucket", lambda: s3.create_bucket(Bucket=bucket))
    step("put", lambda: s3.put_object(Bucket=bucket, Key="k/ü +%", Body=b"content", Metadata={"colour": "blue"}, ContentType="text/x"))
    step("get", lambda: equal(s3.get_object(Bucket=bucket, Key="k/ü +%")["Body"].read(), b"content"))
    step("head", lambda: equal(s3.head_object(Bucket=bucket, Key="k/ü +%")["Metadata"], {"colour": "blue"}))
    step("upload", lambda: s3.upload_file(large, bucket, "large", Config=config))
    step("download", lambda: s3.download_file(bucket, "large", back))
    step("compare", lambda: equal(open(back, "rb").read(), open(large, "rb").read()))
    step("copy", lambda: s3.copy({"Bucket": bucket, "Key": "large"}, bucket, "copy", Config=config))
    step("list", lambda: equal(sorted(o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]), ["copy", "k/ü +%", "large"]))
    step("pages", lambda: equal(len(list(s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, PaginationConfig={"PageSize": 1}))), 3))
    step("prefixes", lambda: equal(s3.list_objects_v2(Bucket=bucket, Delimiter="/")["CommonPrefixes"], [{"Prefix": "k/"}]))
    step("tags", lambda: s3.put_object_tagging(Bucket=bucket, Key="copy", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]}))
    step("get-tags", lambda: equal(s3.get_object_tagging(Bucket=bucket, Key="copy")["TagSet"], [{"Key": "a", "Value": "b"}]))
    step("no-key", lambda: refused("NoSuchKey", lambda: s3.get_object(Bucket=bucket, Key="none")))
    step("no-bucket", lambda: refused("NoSuchBucket", lambda: s3.list_objects_v2(Bucket=bucket + "-none")))
    step("not-empty", lambda: refused("BucketNotEmpty", lambda: s3.delete_bucket(Bucket=bucket)))

    def post():
        import urllib.request

        p = s3.generate_presigned_post(bucket, "form", Conditions=[["content-length-range", 1, 100]])
        b, lines = "boundary", []
        for name, v in p["fields"].items():
            lines += [f"--{b}", f'Content-Disposition: form-data; name="{name}"', "", v]
        lines += [f"--{b}", 'Content-Disposition: form-data; name="file"; filename="f"', "", "formed", f"--{b}--", ""]
        r = urllib.request.Request(p["url"], "\r\n".join(lines).encode(), {"Content-Type": f"multipart/form-data; boundary={b}"})
        equal(urllib.request.urlopen(r).status, 204)
        equal(s3.get_object(Bucket=bucket, Key="form")["Body"].read(), b"formed")

    step("post", post)

    def presigned():
        import urllib.request

        u = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "form", "ResponseContentType": "text/y"})
        r = urllib.request.urlopen(u)
        equal((r.read(), r.headers["Content-Type"]), (b"formed", "text/y"))

    step("presigned", presigned)

    def delete():
        keys = [{"Key": o["Key"]} for o in s3.list_objects_v2(Bucket=bucket)["Contents"]]
        equal(len(s3.delete_objects(Bucket=bucket, Delete={"Objects": keys})["Deleted"]), 4)

    step("delete", delete)
    step("delete-bucket", lambda: s3.delete_bucket(Bucket=bucket))


if __name__ == "__main__":
    if sys.argv[1] == "--judge":
        sys.exit(judge(*sys.argv[2:]))
    smoke(*sys.argv[1:])

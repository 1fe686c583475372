package s3gateway

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/fado-project/fado/s3gateway/internal/s3err"
	"github.com/fado-project/fado/s3gateway/internal/wire"
)

func TestTarget(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		host, path  string
		level       level
		bucket, key string
		code        string
	}{
		{"h", "/", atService, "", "", ""},
		{"h", "/b", atBucket, "b", "", ""},
		{"h", "/b/", atBucket, "b", "", ""},
		{"h", "/b/k", atObject, "b", "k", ""},
		{"h", "/b//k", atObject, "b", "/k", ""},
		{"h", "/b/a//../k/", atObject, "b", "a//../k/", ""},
		{"h", "/b/a%2Fb+c%20d", atObject, "b", "a/b+c d", ""},
		{"h", "//k", 0, "", "", "InvalidBucketName"},
		{"h", "/b/%FF", 0, "", "", "InvalidURI"},
		{"h", "/b/%00", 0, "", "", "InvalidArgument"},
		{"h", "/b/" + strings.Repeat("k", 1025), 0, "", "", "KeyTooLongError"},
		{"my.bkt.s3.example:9000", "/k", atObject, "my.bkt", "k", ""},
		{"bkt.S3.example", "/", atBucket, "bkt", "", ""},
		{"s3.example", "/b/k", atObject, "b", "k", ""},
	} {
		r := httptest.NewRequest(http.MethodGet, "http://x"+c.path, nil)
		r.Host = c.host
		l, bucket, key, err := target(r, []string{"s3.example"})
		got := ""
		if e := (*s3err.Error)(nil); errors.As(err, &e) {
			got = e.Code
		}
		if got != c.code || err == nil && (l != c.level || bucket != c.bucket || key != c.key) {
			t.Errorf("%s%.40s: %d %q %q %v", c.host, c.path, l, bucket, key, err)
		}
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		method, query, source string
		level                 level
		want                  string
	}{
		{"GET", "", "", atService, "ListBuckets"},
		{"GET", "list-type=2&prefix=x", "", atBucket, "ListObjectsV2"},
		{"GET", "prefix=x", "", atBucket, "ListObjects"},
		{"GET", "versions", "", atBucket, "ListObjectVersions"},
		{"PUT", "", "", atObject, "PutObject"},
		{"PUT", "", "/b/k", atObject, "CopyObject"},
		{"PUT", "uploadId=1&partNumber=1", "", atObject, "UploadPart"},
		{"PUT", "uploadId=1&partNumber=1", "/b/k", atObject, "UploadPartCopy"},
		{"POST", "uploads", "", atObject, "CreateMultipartUpload"},
		{"GET", "x-id=GetObject", "", atObject, "GetObject"},
		{"GET", "lifecycle", "", atBucket, "NotImplemented: GetBucketLifecycleConfiguration is not supported by this endpoint."},
		{"PUT", "object-lock", "", atBucket, "PutObjectLockConfiguration"},
		{"PUT", "publicAccessBlock", "", atBucket, "NotImplemented: PutPublicAccessBlock is not supported by this endpoint."},
		{"POST", "select&select-type=2", "", atObject, "NotImplemented: PostObjectSelect is not supported by this endpoint."},
		{"PATCH", "", "", atObject, "MethodNotAllowed: The specified method is not allowed against this resource."},
	} {
		r := httptest.NewRequest(c.method, "http://x/?"+c.query, nil)
		r.Header.Set(wire.CopySource, c.source)
		q, _ := url.ParseQuery(c.query)
		op, err := find(c.level, r, q)
		var got string
		if err != nil {
			got = err.Error()
		} else {
			got = op.name
		}
		if got != c.want {
			t.Errorf("%s ?%s: %s, want %s", c.method, c.query, got, c.want)
		}
	}
}

func TestStartAfter(t *testing.T) {
	t.Parallel()
	q := listQuery{prefix: "a/", delimiter: "/", after: "a/b/"}
	if got := q.startAfter(); got <= "a/b/zzz" || got >= "a/b0" {
		t.Errorf("after a common prefix: %q", got)
	}
	q.after = "a/b"
	if got := q.startAfter(); got != "a/b" {
		t.Errorf("after a key: %q", got)
	}
}

func TestToken(t *testing.T) {
	t.Parallel()
	h := http.Header{"Etag": {`"0123456789abcdef0123456789abcdef"`}}
	a := token("c1", "b", "k", h)
	if a != token("c1", "b", "k", h) || a == token("c1", "b", "other", h) || a == token("c2", "b", "k", h) {
		t.Error("tokens do not tell writes apart")
	}
	h.Set("X-Amz-Version-Id", strings.Repeat("v", 500))
	if n := len(token(strings.Repeat("c", 63), "b", strings.Repeat("k", 1024), h)); n > 200 {
		t.Errorf("a token of %d bytes", n)
	}
}

func TestCaddyfile(t *testing.T) {
	t.Parallel()
	h := new(Handler)
	err := h.UnmarshalCaddyfile(caddyfile.NewTestDispenser(`fado_s3 {
		region eu-1
		cluster c1
		domain s3.example
		public_url https://s3.example:9443
		key one {
			secret {env.ONE}
			buckets a-* b
			read_only
		}
		key two {
			secret abcdefgh
		}
		anonymous pub-*
		write_ack all
		max_clock_skew 5m
		cache 256MiB {
			max_object 64KiB
		}
	}`))
	if err != nil {
		t.Fatal(err)
	}
	if h.Cache == nil || h.Cache.Size != 256<<20 || h.Cache.MaxObject != 64<<10 {
		t.Errorf("cache %+v", h.Cache)
	}
	if h.Region != "eu-1" || h.PublicURL != "https://s3.example:9443" || h.Cluster != "c1" || h.WriteAck != ackAll || len(h.Keys) != 2 || !h.Keys[0].ReadOnly || len(h.Keys[0].Buckets) != 2 || h.Keys[1].ReadOnly {
		t.Errorf("%+v", h)
	}
	for in, want := range map[string]string{
		`fado_s3 x`:                                                          "unexpected argument",
		"fado_s3 {\n wat\n}":                                                 "expected region, cluster, domain, public_url, key, anonymous, write_ack, max_clock_skew or cache",
		"fado_s3 {\n region\n}":                                              "expected region <region>",
		"fado_s3 {\n region a\n region b\n}":                                 "region is given twice",
		"fado_s3 {\n region A_b\n}":                                          "expected a name like us-east-1",
		"fado_s3 {\n write_ack 0\n}":                                         "expected a number of copies",
		"fado_s3 {\n max_clock_skew 0\n}":                                    "expected a duration",
		"fado_s3 {\n key abc\n}":                                             "secret is missing",
		"fado_s3 {\n key abc b\n}":                                           "expected key <access_key_id>",
		"fado_s3 {\n key abc {\n wat\n }\n}":                                 "expected secret, buckets or read_only",
		"fado_s3 {\n key abc {\n secret x\n secret y\n }\n}":                 "secret is given twice",
		"fado_s3 {\n key a/b {\n secret x\n }\n}":                            "expected an access key ID",
		"fado_s3 {\n key abc {\n secret x\n }\n key abc {\n secret x\n }\n}": "key abc is given twice",
		"fado_s3 {\n anonymous [\n}":                                         "expected a bucket's name",
		"fado_s3 {\n public_url s3.example.org\n}":                           "public_url: \"s3.example.org\": expected scheme and host, such as https://s3.example.org",
		"fado_s3 {\n public_url https://s3.example.org/s3\n}":                "expected scheme and host",
		"fado_s3 {\n domain 127.0.0.1\n}":                                    "expected a host name",
		"fado_s3 {\n cluster c1 {\n x\n }\n}":                                "takes no block",
	} {
		err := new(Handler).UnmarshalCaddyfile(caddyfile.NewTestDispenser(in))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", in, err, want)
		}
	}
}

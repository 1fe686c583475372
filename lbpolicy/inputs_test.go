package lbpolicy

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
)

func whole(bucket string) routing.Input { return routing.Input{Bucket: bucket} }

func object(bucket, key string) routing.Input {
	return routing.Input{Bucket: bucket, Key: key, Scope: routing.ScopeObject}
}

func TestInputsFromHeaders(t *testing.T) {
	p := &DataAware{names: inputNames{bucket: source{header: headerBucket}, object: source{header: headerObject}}}
	for _, test := range []struct {
		name   string
		header http.Header
		want   []routing.Input
	}{
		{"nothing", http.Header{}, nil},
		{"an empty bucket", http.Header{headerBucket: {"", " , "}}, nil},
		{"a bucket", http.Header{headerBucket: {" photos "}}, []routing.Input{whole("photos")}},
		{
			"several buckets",
			http.Header{headerBucket: {"a, b", "c"}},
			[]routing.Input{whole("a"), whole("b"), whole("c")},
		},
		{
			"an object instead of the whole bucket",
			http.Header{headerBucket: {"a"}, headerObject: {"x/y.txt"}},
			[]routing.Input{object("a", "x/y.txt")},
		},
		{
			"objects belong to the first bucket",
			http.Header{headerBucket: {"a", "b"}, headerObject: {"x", "", "y"}},
			[]routing.Input{object("a", "x"), whole("b"), object("a", "y")},
		},
		{"an object without a bucket", http.Header{headerObject: {"x"}}, nil},
		{
			"percent-encoding",
			http.Header{headerBucket: {"a"}, headerObject: {"a%20b%2Fc", "a+b", "100%", "x,y"}},
			[]routing.Input{object("a", "a b/c"), object("a", "a+b"), object("a", "100%"), object("a", "x,y")},
		},
		{
			"a key that ends in a slash is a key",
			http.Header{headerBucket: {"a"}, headerObject: {"dir/"}},
			[]routing.Input{object("a", "dir/")},
		},
		{
			"data",
			http.Header{headerData: {"s3://a/k%20ey", "s3://b/dir/", "s3://c/", "s3://d", " s3://e//x "}},
			[]routing.Input{
				object("a", "k ey"),
				{Bucket: "b", Key: "dir/", Scope: routing.ScopePrefix},
				whole("c"), whole("d"), object("e", "/x"), object("e", "x"),
			},
		},
		{
			"bucket and data",
			http.Header{headerBucket: {"a"}, headerData: {"s3://a/k"}},
			[]routing.Input{whole("a"), object("a", "k")},
		},
		{
			"unreadable data",
			http.Header{headerData: {"a/k", "https://a/k", "s3://", "s3:///k", ""}},
			[]routing.Input{whole(unreadable), whole(unreadable), whole(unreadable), whole(unreadable), whole(unreadable)},
		},
		{
			"too many inputs",
			http.Header{headerBucket: {"a" + strings.Repeat(",a", maxInputs)}},
			[]routing.Input{whole(unreadable)},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
			got := p.names.of(nil, r, test.header)
			if !slices.Equal(got, test.want) {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestUnreadableIsNoBucketName(t *testing.T) {
	b := &catalog.Bucket{Name: unreadable}
	b.Normalize()
	if err := catalog.ValidateResource(b, routing.NewSnapshot()); err == nil {
		t.Errorf("%q can be the name of a bucket", unreadable)
	}
}

func TestInputsFromPlaceholders(t *testing.T) {
	for _, test := range []struct {
		bucket, object string
		want           []routing.Input
	}{
		{"{query.b}", "{query.o}", []routing.Input{object("photos", "a b%20c")}},
		{"{http.request.uri.query.b}", "{query.none}", []routing.Input{whole("photos")}},
		{"{header.x-tenant-bucket}", "{http.request.header.X-Key}", []routing.Input{object("t1", "k 1"), object("t1", "k2")}},
		{"fixed-{query.b}", "", []routing.Input{whole("fixed-photos")}},
		{"{query.none}", "{query.o}", nil},
	} {
		t.Run(test.bucket+" "+test.object, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/f?b=photos&o=a%20b%2520c", http.NoBody)
			r.Header.Set("X-Tenant-Bucket", "t1")
			r.Header["X-Key"] = []string{"k%201", "k2"}
			repl := caddy.NewReplacer()
			r = caddyhttp.PrepareRequest(r, repl, httptest.NewRecorder(), &caddyhttp.Server{})
			// What Caddy's shorthands in a Caddyfile become.
			long := strings.NewReplacer("{query.", "{http.request.uri.query.")
			p := &DataAware{names: inputNames{bucket: newSource(long.Replace(test.bucket)), object: newSource(long.Replace(test.object))}}
			if got := p.names.of(nil, r, r.Header); !slices.Equal(got, test.want) {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestReadingInputsAllocatesNothing(t *testing.T) {
	p := &DataAware{names: inputNames{bucket: source{header: headerBucket}, object: source{header: headerObject}}}
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody).WithContext(context.Background())
	h := http.Header{headerBucket: {"a, b"}, headerObject: {"x/y"}, headerData: {"s3://c/k"}}
	buf := make([]routing.Input, 0, 8)
	if n := testing.AllocsPerRun(100, func() { p.names.of(buf, r, h) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

package kind

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"testing"
)

func named(t *testing.T, name string) *Provider {
	t.Helper()
	for _, p := range providers {
		if p.Name == name {
			return p
		}
	}
	t.Fatalf("no provider %s", name)
	return nil
}

// What a storage may find by a path is no way to other things.
func TestRefuseUpload(t *testing.T) {
	t.Parallel()
	encoded := base64.RawURLEncoding.EncodeToString
	for _, tc := range []struct {
		kind, id string
		refused  bool
	}{
		{"versitygw", "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed", false},
		{"versitygw", "null", false},
		{"versitygw", "", false},
		{"versitygw", "..", true},
		{"versitygw", "../../../../victim", true},
		{"versitygw", "x/../y", true},
		{"versitygw", encoded([]byte("d.../x")), false}, // no path to it
		{"MinIO", encoded([]byte("1b9d6bcd.4b2dx17")), false},
		{"MinIO", encoded([]byte("1b9d6bcd.../" + "0123")), true},
		{"MinIO", encoded([]byte("1b9d6bcd...")), true},
		{"MinIO", encoded([]byte("1b9d6bcd")), false},
		{"MinIO", "../x", true},
		{"AWS S3", "VXBsb2FkIElE.abc--_", false},
		{"S3", "a/b+c==", false},
		{"S3", "2~a..b", false},
		{"S3", "a/../b", true},
		{"S3", `a\..\b`, true},
	} {
		if why := named(t, tc.kind).RefuseUpload(tc.id); (why != "") != tc.refused {
			t.Errorf("%s: %q: %q, refused: %t", tc.kind, tc.id, why, tc.refused)
		}
	}
}

// A key leads out of no bucket, whatever the storage is.
func TestRefuseLeaving(t *testing.T) {
	t.Parallel()
	for key, refused := range map[string]bool{
		"a//b": false, "/a": false, "a/../b": false, "./a": false, "..a": false, "a/..": false,
		"..": true, "../b": true, "a/../../b": true, "/../b": true, "./../b": true, "a//../../b": true,
	} {
		if why := named(t, "S3").Refuse(key, 1); (why != "") != refused {
			t.Errorf("%q: %q, refused: %t", key, why, refused)
		}
	}
}

// A PUT that MinIO would unpack is refused there, and nothing else for its headers.
func TestRefuseArchives(t *testing.T) {
	t.Parallel()
	archive := func(value string) http.Header { return http.Header{"X-Amz-Meta-Snowball-Auto-Extract": {value}} }
	for _, tc := range []struct {
		kind    string
		r       Request
		refused bool
	}{
		{"MinIO", Request{Method: http.MethodPut, Header: archive("true")}, true},
		{"MinIO", Request{Method: http.MethodPut, Header: archive("false")}, false},
		{"MinIO", Request{Method: http.MethodPut, Header: http.Header{"X-Amz-Meta-A": {"true"}}}, false},
		{"MinIO", Request{Method: http.MethodPost, Header: archive("true"), Query: url.Values{"uploads": {""}}}, false},
		{"MinIO", Request{Method: http.MethodPut, Header: archive("true"), Query: url.Values{"uploadId": {"x"}, "partNumber": {"1"}}}, false},
		{"MinIO", Request{Method: http.MethodPut, Header: http.Header{"X-Amz-Meta-Snowball-Auto-Extract": {"true"}, "X-Amz-Copy-Source": {"b/k"}}}, false},
		{"versitygw", Request{Method: http.MethodPut, Header: archive("true")}, false},
		{"S3", Request{Method: http.MethodPut, Header: http.Header{"": {"true"}}}, false},
	} {
		tc.r.Key = "k"
		if why := named(t, tc.kind).RefuseRequest(tc.r); (why != "") != tc.refused {
			t.Errorf("%s: %s with %v and %v: %q, refused: %t", tc.kind, tc.r.Method, tc.r.Header, tc.r.Query, why, tc.refused)
		}
	}
}

// What a request names anywhere is judged: its key, other keys, an upload and a version.
func TestRefuseRequest(t *testing.T) {
	t.Parallel()
	versity := named(t, "versitygw")
	for what, r := range map[string]Request{
		"its key":     {Key: "a/../b"},
		"another key": {Key: "k", Names: []string{"a", "a/../b"}},
		"content":     {Key: "folder/", Size: 1},
		"an upload":   {Key: "k", Query: url.Values{"uploadId": {"../x"}}},
		"a version":   {Key: "k", Query: url.Values{"versionId": {"../x"}}},
	} {
		if versity.RefuseRequest(r) == "" {
			t.Errorf("%s: not refused", what)
		}
	}
	fine := Request{Key: "k", Size: 1, Names: []string{"a/b", "folder/"}, Query: url.Values{"uploadId": {"x"}, "versionId": {"null"}}}
	if why := versity.RefuseRequest(fine); why != "" {
		t.Errorf("refused: %s", why)
	}
}

// A storage that is yet to be known may have anything.
func TestCantHave(t *testing.T) {
	t.Parallel()
	id := new(Identity)
	if id.CantHave("a/../b") {
		t.Error("an unknown one has it not")
	}
	id.row.Store(named(t, "versitygw"))
	if !id.CantHave("a/../b") || id.CantHave("a/b") {
		t.Errorf("versitygw: %t, %t", id.CantHave("a/../b"), id.CantHave("a/b"))
	}
}

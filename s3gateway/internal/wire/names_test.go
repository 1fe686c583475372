package wire

import (
	"strings"
	"testing"
)

func TestParseSource(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]Source{
		"b/k":                            {Bucket: "b", Key: "k"},
		"/b/a%20b%2Fc":                   {Bucket: "b", Key: "a b/c"},
		"b/a+b":                          {Bucket: "b", Key: "a+b"},
		"/b/k?versionId=a%2Bb":           {Bucket: "b", Key: "k", Version: "a+b"},
		"b//k":                           {Bucket: "b", Key: "/k"},
		"b":                              {},
		"":                               {},
		"arn:aws:s3:::b/k":               {},
		"b/100%":                         {Bucket: "b", Key: "100%"},
		"%2Fb/k":                         {Bucket: "b", Key: "k"},
		"b/what?is=this":                 {Bucket: "b", Key: "what?is=this"},
		"b/k%3FversionId=no?versionId=1": {Bucket: "b", Key: "k?versionId=no", Version: "1"},
	} {
		got, err := ParseSource(in)
		if got != want || (err != nil) != (want.Bucket == "") {
			t.Errorf("%q: %+v %v", in, got, err)
		}
	}
}

func TestUploadIDs(t *testing.T) {
	t.Parallel()
	id := EncodeUpload("c-1", "some.upstream.id")
	if cluster, up, ok := DecodeUpload(id); !ok || cluster != "c-1" || up != "some.upstream.id" {
		t.Errorf("%q %q %t", cluster, up, ok)
	}
	for _, bad := range []string{"", "!", "MS4", "Mi5jLngx", EncodeUpload("", "x"), EncodeUpload("c", "")} {
		if _, _, ok := DecodeUpload(bad); ok {
			t.Errorf("%q is taken", bad)
		}
	}
}

// Documents may end in white space, as those of s3fs do, and in comments; nothing else follows.
func TestParseXML(t *testing.T) {
	t.Parallel()
	const doc = "<Delete><Object><Key>k</Key></Object></Delete>"
	for text, want := range map[string]bool{
		doc: true, doc + "\n": true, doc + " \r\n\t": true, "<?xml version=\"1.0\"?>\n" + doc + "\n<!-- end -->\n": true,
		doc + "x": false, doc + doc: false, doc + "\n<x/>": false, doc + "<": false, "": false, "\n": false,
	} {
		var into struct {
			XMLName struct{} `xml:"Delete"`
		}
		if err := ParseXML([]byte(text), &into); (err == nil) != want {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestRewriteXML(t *testing.T) {
	t.Parallel()
	in := "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<R xmlns=\"n\"><Name>p-b</Name><In><Name>other</Name></In><K>a &amp; &lt;b&gt;\"</K></R>\n"
	out, err := RewriteXML([]byte(in), map[string]func(string) string{"R/Name": func(s string) string { return strings.TrimPrefix(s, "p-") + "&" }})
	want := "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<R xmlns=\"n\"><Name>b&amp;</Name><In><Name>other</Name></In><K>a &amp; &lt;b&gt;\"</K></R>"
	if err != nil || string(out) != want {
		t.Errorf("%s %v", out, err)
	}
	deep := func(n int) string { return strings.Repeat("<a>", n) + strings.Repeat("</a>", n) }
	if out, err := RewriteXML([]byte(deep(maxAnswerDepth)), nil); err != nil || string(out) != deep(maxAnswerDepth) {
		t.Errorf("%s %v", out, err)
	}
	for _, bad := range []string{"<R><Name><x/></Name></R>", "<R><Name>", deep(maxAnswerDepth + 1)} {
		if _, err := RewriteXML([]byte(bad), map[string]func(string) string{"R/Name": strings.ToUpper}); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	for _, last := range []string{"k", "a/b/", "ü\x01", ""} {
		if got, ok := DecodePage(EncodePage(last)); !ok || got != last {
			t.Errorf("%q: %q %t", last, got, ok)
		}
	}
}

func TestParseRange(t *testing.T) {
	t.Parallel()
	for spec, want := range map[string][3]int64{ // from, to of 10 bytes; 1: there is some of it
		"bytes=0-0": {0, 1, 1}, "bytes=2-5": {2, 6, 1}, "bytes=2-": {2, 10, 1}, "bytes=-3": {7, 10, 1}, "bytes=-30": {0, 10, 1}, "bytes=9-100": {9, 10, 1},
		"bytes=10-": {}, "bytes=5-2": {}, "bytes=-0": {}, "bytes=-": {}, "bytes=0-1,3-4": {}, "bytes=+1-2": {}, "bytes= 1-2": {}, "bytes=1 -2": {},
		"bytes=1": {}, "items=0-1": {}, "bytes=99999999999999999999-": {}, "bytes=0-99999999999999999999": {},
	} {
		r, ok := ParseRange(spec)
		var from, to int64
		if ok {
			from, to, ok = r.In(10)
		}
		if ok != (want[2] == 1) || ok && (from != want[0] || to != want[1]) {
			t.Errorf("%s: %d to %d %t, want %v", spec, from, to, ok, want)
		}
	}
}

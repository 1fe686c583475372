package wire

import (
	"bytes"
	"encoding/xml"
	"net/url"
	"strings"
	"testing"
)

// Whatever a storage answers: what is rewritten is the same document as long as no element is named,
// however often, and where one is, nothing of its former text is left.
func FuzzRewriteXML(f *testing.F) {
	for _, doc := range []string{
		"<R><Name>p-b</Name><K>a &amp; &lt;b&gt;\"</K></R>", "<?xml version=\"1.0\"?>\n<R xmlns=\"n\" xsi:a='b'><x:y/>\r</R>", "<R><![CDATA[<x>]]></R>",
		"<R><Name><x/></Name></R>", "<R", "", "<!DOCTYPE x><R/>", "<a></b>", "<R>&#xD;&#10;</R>", "x<R/>y",
	} {
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		once, err := RewriteXML(doc, nil)
		if err != nil {
			return
		}
		twice, err := RewriteXML(once, nil)
		if err != nil || !bytes.Equal(once, twice) {
			t.Errorf("%q\nonce:  %q\ntwice: %q %v", doc, once, twice, err)
		}
		var had, has struct {
			Names []string `xml:"Name"`
		}
		if xml.Unmarshal(doc, &had) != nil || len(had.Names) == 0 {
			return
		}
		var root struct{ XMLName xml.Name }
		if xml.Unmarshal(doc, &root) != nil {
			return
		}
		out, err := RewriteXML(doc, map[string]func(string) string{root.XMLName.Local + "/Name": func(string) string { return "<new>" }})
		if err != nil {
			return // an element where text was expected
		}
		if err := xml.Unmarshal(out, &has); err != nil || len(has.Names) != len(had.Names) {
			t.Fatalf("%q\nrewritten: %q %v", doc, out, err)
		}
		for _, name := range has.Names {
			if name != "<new>" {
				t.Errorf("%q\nrewritten: %q", doc, out)
			}
		}
	})
}

// Whatever a client sends as a document, a source or a range: what is taken is within its bounds.
func FuzzWhatClientsSay(f *testing.F) {
	for _, text := range []string{"<a/>", "<a><a>", "/b/k?versionId=1", "b%2Fk", "bytes=0-1", "bytes=-5", "bytes=9223372036854775807-", "MS5jMS54", "%"} {
		f.Add(text, int64(10))
	}
	f.Fuzz(func(t *testing.T, text string, length int64) {
		var doc struct{ XMLName xml.Name }
		if err := ParseXML([]byte(text), &doc); err == nil && strings.Contains(text, "<!ENTITY") && !strings.Contains(text, "<!--") && !strings.Contains(text, "CDATA") {
			t.Errorf("entities are taken: %q", text)
		}
		if s, err := ParseSource(text); err == nil && (s.Bucket == "" || s.Key == "" || strings.Contains(s.Bucket, "/")) {
			t.Errorf("%q: %+v", text, s)
		}
		if r, ok := ParseRange(text); ok && length >= 0 {
			if from, to, some := r.In(length); some && (from < 0 || from >= to || to > length) {
				t.Errorf("%q of %d bytes: %d to %d", text, length, from, to)
			}
		}
		if cluster, id, ok := DecodeUpload(text); ok && (cluster == "" || id == "") {
			t.Errorf("%q: %q %q", text, cluster, id)
		}
		if name, err := url.QueryUnescape(EncodeName(text)); err != nil || name != text {
			t.Errorf("%q is encoded as %q: %v", text, EncodeName(text), err)
		}
		if last, ok := DecodePage(EncodePage(text)); !ok || last != text {
			t.Errorf("%q: the token of another page, %q", text, last)
		}
	})
}

package s3

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// The parsers read what any server sends. They may refuse it, and what they take is within
// what S3 has; none panics.

func FuzzList(f *testing.F) {
	f.Add(`<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>` +
		`<Contents><Key>a%2Fb+c</Key><LastModified>2026-01-02T03:04:05.678Z</LastModified><ETag>&quot;e&quot;</ETag><Size>1</Size></Contents>` +
		`<CommonPrefixes><Prefix>p%2F</Prefix></CommonPrefixes></ListBucketResult>`)
	f.Add(`<Error><Code>NoSuchBucket</Code></Error>`)
	f.Fuzz(func(t *testing.T, body string) {
		var x listing
		if decodeXML(strings.NewReader(body), &x) != nil {
			return
		}
		p, err := x.decode()
		if err != nil {
			return
		}
		if len(p.Entries) > PageSize || len(p.Prefixes) > PageSize || p.Token != "" && !x.IsTruncated {
			t.Errorf("%d entries, %d prefixes, token %q", len(p.Entries), len(p.Prefixes), p.Token)
		}
		for _, e := range p.Entries {
			if strings.HasPrefix(e.ETag, `"`) {
				t.Errorf("%+v", e)
			}
		}
	})
}

func FuzzVersions(f *testing.F) {
	f.Add(`<ListVersionsResult><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated><NextKeyMarker>a%2Fb</NextKeyMarker><NextVersionIdMarker>i</NextVersionIdMarker>` +
		`<Version><Key>a%2Fb</Key><VersionId>i</VersionId><IsLatest>true</IsLatest><LastModified>2026-01-02T03:04:05Z</LastModified><ETag>"e"</ETag><Size>1</Size></Version>` +
		`<DeleteMarker><Key>a%2Fb</Key><VersionId>j</VersionId><LastModified>2026-01-02T03:04:04Z</LastModified></DeleteMarker></ListVersionsResult>`)
	f.Fuzz(func(t *testing.T, body string) {
		x := new(versionListing)
		if decodeXML(strings.NewReader(body), x) != nil {
			return
		}
		if len(x.Entries) > PageSize {
			t.Fatalf("%d entries", len(x.Entries))
		}
		w := &versionWalk{c: &Client{at: new(endpoint)}, q: &Request{}}
		last := ""
		vs, err := w.entries(x)
		if err != nil {
			return
		}
		if len(vs) != len(x.Entries) {
			t.Errorf("%d of %d entries", len(vs), len(x.Entries))
		}
		for _, v := range vs {
			if v.Key < last {
				t.Errorf("%q after %q", v.Key, last)
			}
			last = v.Key
		}
		// The same page for ever: its markers are taken once.
		if err := w.advance(x); err == nil && w.advance(x) == nil {
			t.Errorf("it advances from %q, %q to itself", w.key, w.id)
		}
	})
}

func FuzzParts(f *testing.F) {
	f.Add(`<ListPartsResult><IsTruncated>true</IsTruncated><NextPartNumberMarker>1</NextPartNumberMarker>` +
		`<Part><PartNumber>1</PartNumber><ETag>"e"</ETag><Size>5</Size><ChecksumCRC32C>AAAAAA==</ChecksumCRC32C></Part></ListPartsResult>`)
	f.Fuzz(func(t *testing.T, body string) {
		var x partListing
		if decodeXML(strings.NewReader(body), &x) == nil && len(x.Parts) > MaxParts {
			t.Errorf("%d parts", len(x.Parts))
		}
	})
}

func FuzzError(f *testing.F) {
	f.Add("the-secret-key")
	f.Add("<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>the-secret-key\n m</Message></Error>")
	f.Add("<html>")
	f.Fuzz(func(t *testing.T, body string) {
		at := &endpoint{Config: Config{AccessKey: "the-access-key", SecretKey: "the-secret-key"}}
		x, ok := parseError([]byte(body))
		if ok && x.Code == "" {
			t.Error("an error without a code")
		}
		e := at.saidError(&Request{Method: "GET"}, x)
		s := e.Error()
		if strings.Contains(e.Message, "the-secret-key") || strings.Contains(e.Message, "\n") || utf8.RuneCountInString(e.Message) > 201 {
			t.Errorf("the text is %q", s)
		}
		if kindOf(x.Code, 500) == nil || e.Kind == nil {
			t.Error("an error of no kind")
		}
	})
}

func FuzzEvents(f *testing.F) {
	f.Add(`{"Records":null}`)
	f.Add(`{"Records":[{"eventName":"s3:ObjectCreated:Put","eventTime":"2026-01-02T03:04:05Z","s3":{"bucket":{"name":"b"},"object":{"key":"k","size":1,"sequencer":"18"}}}]}`)
	f.Fuzz(func(t *testing.T, line string) {
		records, err := parseEvents([]byte(line))
		if err != nil {
			return
		}
		for i := range records {
			_, _ = records[i].Removed(), records[i].Time()
		}
	})
}

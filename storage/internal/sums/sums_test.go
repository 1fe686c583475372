package sums

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"hash/crc32"
	"net/http"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Of takes the checksum of the whole content that costs the least, and none that says nothing of it: one of parts, one
// of another length, an ETag that is no MD5 or of encrypted content.
func TestOf(t *testing.T) {
	const etag = "900150983cd24fb0d6963f7d28e17f72"
	sum := func(n int) string { return base64.StdEncoding.EncodeToString(make([]byte, n)) }
	for name, c := range map[string]struct {
		etag string
		h    map[string]string
		want string
	}{
		"nothing":               {"", nil, ""},
		"an ETag":               {etag, nil, "MD5"},
		"an ETag of parts":      {etag + "-2", nil, ""},
		"an ETag and a CRC":     {etag, map[string]string{"X-Amz-Checksum-Crc32": sum(4)}, "X-Amz-Checksum-Crc32"},
		"a CRC-32 and a CRC-64": {"", map[string]string{"X-Amz-Checksum-Crc32": sum(4), "X-Amz-Checksum-Crc64nvme": sum(8)}, "X-Amz-Checksum-Crc64nvme"},
		"all of them":           {etag, map[string]string{"X-Amz-Checksum-Crc32": sum(4), "X-Amz-Checksum-Crc64nvme": sum(8), "X-Amz-Checksum-Crc32c": sum(4)}, "X-Amz-Checksum-Crc32c"},
		"of parts":              {etag + "-2", map[string]string{"X-Amz-Checksum-Crc32c": sum(4), "X-Amz-Checksum-Type": "COMPOSITE"}, ""},
		"of parts, by its form": {etag + "-2", map[string]string{"X-Amz-Checksum-Crc32c": sum(4) + "-2"}, ""},
		"of another length":     {etag + "-2", map[string]string{"X-Amz-Checksum-Crc64nvme": sum(4)}, ""},
		"KMS":                   {etag, map[string]string{"X-Amz-Server-Side-Encryption": "aws:kms"}, ""},
		"KMS twice":             {etag, map[string]string{"X-Amz-Server-Side-Encryption": "aws:kms:dsse"}, ""},
		"a key of the client's": {etag, map[string]string{"X-Amz-Server-Side-Encryption-Customer-Algorithm": "AES256"}, ""},
		"S3's own encryption":   {etag, map[string]string{"X-Amz-Server-Side-Encryption": "AES256"}, "MD5"},
		"KMS with a CRC":        {etag, map[string]string{"X-Amz-Server-Side-Encryption": "aws:kms", "X-Amz-Checksum-Crc32": sum(4)}, "X-Amz-Checksum-Crc32"},
	} {
		h := make(http.Header)
		for k, v := range c.h {
			h.Set(k, v)
		}
		got := ""
		if d := Of(c.etag, h); d != nil {
			got = d.Name
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

// What is computed over the content reads as what the source keeps of it: by the check values of the CRCs (RFC 3720
// B.4, the CRC catalogue's CRC-32/ISO-HDLC and CRC-64/NVME) and by an MD5 of RFC 1321.
func TestSumsOfContent(t *testing.T) {
	for _, c := range []struct {
		content, etag, header, value string
	}{
		{"123456789", "", "X-Amz-Checksum-Crc32c", "4waSgw=="},
		{"123456789", "", "X-Amz-Checksum-Crc64nvme", "rosUhgp5mIg="},
		{"123456789", "", "X-Amz-Checksum-Crc32", "y/Q5Jg=="},
		{"abc", "900150983cd24fb0d6963f7d28e17f72", "", "900150983cd24fb0d6963f7d28e17f72"},
	} {
		h := make(http.Header)
		if c.header != "" {
			h.Set(c.header, c.value)
		}
		d := Of(c.etag, h)
		if d == nil || d.Want != c.value {
			t.Errorf("%s %s: %+v", c.header, c.etag, d)
			continue
		}
		sum, err := d.Resume(nil)
		if err != nil {
			t.Fatal(err)
		}
		sum.Write([]byte(c.content))
		if got := d.Text(sum.Sum(nil)); got != d.Want {
			t.Errorf("%s of %q: %s, want %s", d.Name, c.content, got, d.Want)
		}
	}
}

// A sum that goes on from a noted state comes out as one over the whole, wherever it was cut.
func TestResume(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body := rapid.SliceOf(rapid.Byte()).Draw(t, "body")
		cut := rapid.IntRange(0, len(body)).Draw(t, "cut")
		etag := md5.Sum(body)
		all := append([]Content{*Of(hex.EncodeToString(etag[:]), nil)}, fullChecksums...)
		d := all[rapid.IntRange(0, len(all)-1).Draw(t, "digest")]
		whole, first := d.New(), d.New()
		whole.Write(body)
		first.Write(body[:cut])
		state, err := State(first)
		if err != nil {
			t.Fatal(err)
		}
		rest, err := d.Resume(state)
		if err != nil {
			t.Fatal(err)
		}
		if rest.Write(body[cut:]); !bytes.Equal(rest.Sum(nil), whole.Sum(nil)) {
			t.Fatalf("%s: %x, and %x over the whole", d.Name, rest.Sum(nil), whole.Sum(nil))
		}
		if _, err := d.Resume([]byte("no state")); err == nil {
			t.Fatalf("%s goes on from anything", d.Name)
		}
	})
}

func TestETags(t *testing.T) {
	const sum = "900150983cd24fb0d6963f7d28e17f72"
	for etag, want := range map[string]struct {
		plain bool
		parts int
	}{
		"": {}, sum: {true, 0}, sum + "-1": {false, 1}, sum + "-10000": {false, 10000}, sum + "-": {}, sum + "-x": {}, sum[1:] + "-2": {},
		"900150983CD24FB0D6963F7D28E17F72": {}, sum + "0": {}, `"` + sum + `"`: {}, sum + "-2-2": {}, "fado-none-3-4": {},
		sum + "--2": {}, sum + "-+2": {}, sum + "-99999999999": {},
	} {
		if IsMD5(etag) != want.plain || PartsOf(etag) != want.parts {
			t.Errorf("%q: %v, %d parts", etag, IsMD5(etag), PartsOf(etag))
		}
	}
	if got := crc32.Checksum([]byte("123456789"), Castagnoli); got != 0xe3069283 { // the check value of CRC-32C, RFC 3720 B.4
		t.Errorf("%x", got)
	}
}

// An object without an ETag has what stands for one, which no request may name.
func TestWithoutETag(t *testing.T) {
	at := time.Unix(7, 5)
	if got := ETagOr("abc", 1, at); got != "abc" || !RealETag(got) {
		t.Errorf("one with an ETag: %s", got)
	}
	if got := ETagOr("", 3, at); got != "fado-none-3-7" || RealETag(got) {
		t.Errorf("one without: %s", got)
	}
	if RealETag("") {
		t.Error("no ETag is a storage's")
	}
}

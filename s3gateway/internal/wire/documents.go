package wire

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/fado-project/fado/s3gateway/internal/s3err"
)

// Owner names an owner of buckets and objects.
type Owner struct {
	ID          string
	DisplayName string
}

// TheOwner is who owns everything here, as far as S3 clients want to know.
var TheOwner = &Owner{ID: "fado", DisplayName: "fado"}

// MaxParts is the highest number of a part.
const MaxParts = 10_000

// Completed is the body of CompleteMultipartUpload.
type Completed struct {
	XMLName xml.Name        `xml:"CompleteMultipartUpload"`
	Parts   []CompletedPart `xml:"Part"`
}

// CompletedPart is a part that an upload is completed of.
type CompletedPart struct {
	PartNumber int
	ETag       string
}

// CheckParts judges the list of parts as S3 does: storages differ in what they say of a bad one.
func CheckParts(doc []byte) error {
	var list Completed
	if err := ParseXML(doc, &list); err != nil {
		return err
	}
	if n := len(list.Parts); n == 0 || n > MaxParts {
		return s3err.MalformedXML(fmt.Errorf("%d parts", n))
	}
	last := 0
	for _, p := range list.Parts {
		if p.PartNumber == 0 || p.ETag == "" {
			return s3err.MalformedXML(errors.New("a part without its number or its ETag"))
		}
		if p.PartNumber < 0 || p.PartNumber > MaxParts {
			return s3err.BadRequest("InvalidArgument", "Part number must be an integer between 1 and %d, inclusive", MaxParts)
		}
		if p.PartNumber <= last {
			return s3err.BadRequest("InvalidPartOrder", "The list of parts was not in ascending order. Parts must be ordered by part number.")
		}
		last = p.PartNumber
	}
	return nil
}

// TagSet is the document of an object's tags.
type TagSet struct {
	XMLName xml.Name                      `xml:"Tagging"`
	Tags    []struct{ Key, Value string } `xml:"TagSet>Tag"`
}

// Header is the value of x-amz-tagging that says the same.
func (s *TagSet) Header() string {
	v := make(url.Values)
	for _, t := range s.Tags {
		v.Set(t.Key, t.Value)
	}
	return strings.ReplaceAll(v.Encode(), "+", "%20")
}

// OwnerNames are the owners of a storage's documents, which are this endpoint's.
func OwnerNames(text map[string]func(string) string, elements ...string) map[string]func(string) string {
	for _, e := range elements {
		text[e+"/ID"] = func(string) string { return TheOwner.ID }
		text[e+"/DisplayName"] = func(string) string { return TheOwner.DisplayName }
	}
	return text
}

// SetMD5 protects a short body on its way; S3 demands it of some.
func SetMD5(h http.Header, body []byte) {
	sum := md5.Sum(body)
	h.Set("Content-Md5", base64.StdEncoding.EncodeToString(sum[:]))
}

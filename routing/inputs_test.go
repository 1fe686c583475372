package routing_test

import (
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/fado-project/fado/routing"
)

func objectOf(bucket, key string) routing.Input {
	return routing.Input{Bucket: bucket, Key: key, Scope: routing.ScopeObject}
}

func TestAppendData(t *testing.T) {
	for list, want := range map[string][]routing.Input{
		"s3://open/k":                           {objectOf("open", "k")},
		"s3://open/k, s3://eu/secret":           {objectOf("open", "k"), objectOf("eu", "secret")},
		"s3://open/k,s3://eu/secret":            {objectOf("open", "k"), objectOf("eu", "secret")},
		"s3://a/k ,,\t, s3://b":                 {objectOf("a", "k"), {Bucket: "b"}},
		"s3://a/x, y.txt":                       {objectOf("a", "x, y.txt")},
		"s3://a/x,y.txt, s3://b/z,":             {objectOf("a", "x,y.txt"), objectOf("b", "z,")},
		"s3://a/x%2C%20s3://b/y":                {objectOf("a", "x, s3://b/y"), objectOf("a", "x, s3:/b/y")},
		"s3://a/x%2C s3://b/y":                  {objectOf("a", "x, s3://b/y"), objectOf("a", "x, s3:/b/y")},
		"s3://a/eu%2F100%":                      {objectOf("a", "eu%2F100%"), objectOf("a", "eu/100%")},
		"s3://a/100%":                           {objectOf("a", "100%")},
		"s3://a/100%zz/":                        {{Bucket: "a", Key: "100%zz/", Scope: routing.ScopePrefix}},
		"s3://a/%41%/":                          {{Bucket: "a", Key: "%41%/", Scope: routing.ScopePrefix}, {Bucket: "a", Key: "A%/", Scope: routing.ScopePrefix}},
		"s3://a//k":                             {objectOf("a", "/k"), objectOf("a", "k")},
		"s3://a/x/../eu/./k":                    {objectOf("a", "x/../eu/./k"), objectOf("a", "eu/k")},
		"s3://a//eu//":                          {{Bucket: "a", Key: "/eu//", Scope: routing.ScopePrefix}, {Bucket: "a", Key: "eu/", Scope: routing.ScopePrefix}},
		"s3://a//":                              {{Bucket: "a", Key: "/", Scope: routing.ScopePrefix}},
		"s3://a/.k/..k/...":                     {objectOf("a", ".k/..k/...")},
		"S3://a/k":                              nil,
		"s3://a/k, S3://b/k":                    nil,
		"s3://a/k, s3:///k":                     nil,
		"a/k":                                   nil,
		"":                                      nil,
		", s3://a/k":                            nil,
		"s3://a/k, https://b/k, s3://c/":        {objectOf("a", "k, https://b/k"), objectOf("a", "k, https:/b/k"), {Bucket: "c"}},
		"s3://a/" + strings.Repeat(",", 200000): {objectOf("a", strings.Repeat(",", 200000))},
	} {
		got, ok := routing.AppendData([]routing.Input{{Bucket: "before"}}, list)
		if ok != (want != nil) || !slices.Equal(got[1:], want) || got[0].Bucket != "before" {
			t.Errorf("%.80q: %+v, %v, want %+v", list, got, ok, want)
		}
	}
}

func TestAnObjectThatReadsInSeveralWays(t *testing.T) {
	for encoded, want := range map[string][]routing.Input{
		"eu/k":        {objectOf("b", "eu/k")},
		"eu%2Fk":      {objectOf("b", "eu/k")},
		"eu%2F100%":   {objectOf("b", "eu%2F100%"), objectOf("b", "eu/100%")},
		"%65u/%":      {objectOf("b", "%65u/%"), objectOf("b", "eu/%")},
		"100%":        {objectOf("b", "100%")},
		"%zz%e":       {objectOf("b", "%zz%e")},
		"%25%":        {objectOf("b", "%25%"), objectOf("b", "%%")},
		"/eu/k":       {objectOf("b", "/eu/k"), objectOf("b", "eu/k")},
		"%2Feu%2Fk":   {objectOf("b", "/eu/k"), objectOf("b", "eu/k")},
		"../b2/k":     {objectOf("b", "../b2/k"), objectOf("b", "b2/k")},
		"x//eu/":      {objectOf("b", "x//eu/"), objectOf("b", "x/eu/")},
		"/%2Feu/%":    {objectOf("b", "/%2Feu/%"), objectOf("b", "%2Feu/%"), objectOf("b", "//eu/%"), objectOf("b", "eu/%")},
		"/":           {objectOf("b", "/")},
		"a/..":        {objectOf("b", "a/..")},
		"":            {{Bucket: "b"}},
		"%2":          {objectOf("b", "%2")},
		"a%00b%2Fc%2": {objectOf("b", "a%00b%2Fc%2"), objectOf("b", "a\x00b/c%2")},
	} {
		if got := routing.AppendEncodedObject([]routing.Input{{Bucket: "b"}}, 0, encoded); !slices.Equal(got, want) {
			t.Errorf("%q: %+v, want %+v", encoded, got, want)
		}
	}
}

var (
	// A reader that takes every list of RFC 9110 apart where a member could begin.
	joint = regexp.MustCompile(`(?i),[\s,]*s3://`)
	valid = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)
)

// secondReader is what another program may read from a value of X-FaDO-Data: written
// without looking at FaDO's, by regular expressions. It returns the objects it would open, and those that
// a storage would give it that joins a bucket's directory and a key.
func secondReader(list string) (objects []string) {
	for _, part := range joint.Split(strings.TrimSpace(list), -1) {
		part = strings.TrimPrefix(strings.TrimPrefix(part, "s3://"), "S3://")
		objects = append(objects, valid.ReplaceAllStringFunc(strings.TrimSpace(part), func(hex string) string {
			s, _ := url.PathUnescape(hex)
			return s
		}))
	}
	for _, o := range objects {
		bucket, key, _ := strings.Cut(o, "/")
		if file := path.Join("/", key); file != "/" {
			if strings.HasSuffix(key, "/") {
				file += "/"
			}
			objects = append(objects, bucket+file)
		}
	}
	return objects
}

// bucketBytes are those of buckets' names.
const bucketBytes = "abcdefghijklmnopqrstuvwxyz0123456789-."

// Whatever a lenient reader opens is among what FaDO judges, or FaDO refuses the value.
func FuzzDataIsReadAsOthersMayReadIt(f *testing.F) {
	for _, s := range []string{"s3://a/k, s3://b/eu%2F100%", "s3://a/k,S3://b/x", "s3://a/%", "s3://a/%2c%20s3://b/k", "s3://a,,s3://b", "s3://a//k", "s3://a/x/../k%2F"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, list string) {
		if strings.ContainsAny(list, "\r\n\v\f\x00\u0085\u00a0") || strings.ContainsFunc(list, func(r rune) bool { return r > 0x7e }) {
			return // no header has these
		}
		inputs, ok := routing.AppendData(nil, list)
		if !ok || slices.ContainsFunc(inputs, func(in routing.Input) bool { return strings.Trim(in.Bucket, bucketBytes) != "" }) {
			return // refused: no bucket has such a name
		}
		judged := make(map[string]bool)
		for _, in := range inputs {
			judged[in.Bucket+"/"+in.Key] = true
		}
		for _, object := range secondReader(list) {
			bucket, key, _ := strings.Cut(object, "/")
			if !judged[bucket+"/"+key] {
				t.Fatalf("%q: another reader opens %q, judged are %v", list, object, judged)
			}
		}
	})
}

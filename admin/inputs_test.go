package admin

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/fado-project/fado/admin/internal/request"
	"github.com/fado-project/fado/routing"
)

func TestParseInputs(t *testing.T) {
	object := func(bucket, key string) routing.Input {
		return routing.Input{Bucket: bucket, Key: key, Scope: routing.ScopeObject}
	}
	for name, tc := range map[string]struct {
		buckets, objects, data []string
		want                   []routing.Input
		fails                  string
	}{
		"none":                  {},
		"a bucket":              {buckets: []string{"a"}, want: []routing.Input{{Bucket: "a"}}},
		"several, both ways":    {buckets: []string{"a, b", "c,"}, want: []routing.Input{{Bucket: "a"}, {Bucket: "b"}, {Bucket: "c"}}},
		"objects are the first": {buckets: []string{"a,b"}, objects: []string{"x", "y%2Fz"}, want: []routing.Input{object("a", "x"), {Bucket: "b"}, object("a", "y/z")}},
		"an empty object":       {buckets: []string{"a"}, objects: []string{""}, want: []routing.Input{{Bucket: "a"}}},
		"no percent-encoding":   {buckets: []string{"a"}, objects: []string{"100%"}, want: []routing.Input{object("a", "100%")}},
		"an object ending in /": {buckets: []string{"a"}, objects: []string{"dir/"}, want: []routing.Input{object("a", "dir/")}},
		"data":                  {data: []string{"s3://a/k%20l", "s3://b/", "s3://c", "s3://d/p/"}, want: []routing.Input{object("a", "k l"), {Bucket: "b"}, {Bucket: "c"}, {Bucket: "d", Key: "p/", Scope: routing.ScopePrefix}}},
		"an object of nothing":  {objects: []string{"k"}, fails: `"bucket"`},
		"data elsewhere":        {data: []string{"gs://a/k"}, fails: "s3://bucket/key"},
		"too many buckets":      {buckets: []string{"a" + strings.Repeat(",a", maxInputs)}, fails: "1000"},
		"too many objects":      {buckets: []string{"a"}, objects: slices.Repeat([]string{"k"}, maxInputs+1), fails: "1000"},
		"too much data":         {data: slices.Repeat([]string{"s3://a/k"}, maxInputs+1), fails: "1000"},
		"data without bucket":   {data: []string{"s3:///k"}, fails: "s3://bucket/key"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseInputs(tc.buckets, tc.objects, tc.data)
			if tc.fails != "" {
				if err == nil || !strings.Contains(err.Error(), tc.fails) || request.StatusOf(err) != 400 {
					t.Errorf("error %v, want a 400 that names %q", err, tc.fails)
				}
				return
			}
			if err != nil || !reflect.DeepEqual(got, tc.want) {
				t.Errorf("got %+v, %v, want %+v", got, err, tc.want)
			}
		})
	}
}

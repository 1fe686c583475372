package readings

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// A key that is no clean path has a second reading, unless that names nothing.
func TestAsPath(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]string{
		"k": "", "a/k": "", "a/": "", ".k/..k/...": "", "": "", "/": "", "..": "", "a/..": "",
		"/k": "k", "//k": "k", "a//k": "a/k", "a/./k": "a/k", "x/../eu/k": "eu/k", "../other/k": "other/k", "/eu//": "eu/",
	} {
		if got, two := AsPath(key); got != want || two != (want != "") {
			t.Errorf("%q: %q, %t", key, got, two)
		}
	}
}

// What is not valid percent-encoding may be decoded as far as it is.
func TestDecoded(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]string{
		"k": "", "a%2Fb": "", "100%": "", "%zz": "", "eu%2F100%": "eu/100%", "%65u/%": "eu/%", "%4": "",
	} {
		if got, two := Decoded(key); two != (want != "") || two && got != want {
			t.Errorf("%q: %q, %t", key, got, two)
		}
	}
}

// What a key is cleaned to is clean: there is no third reading, and it leads out of nothing.
func TestAsPathIsClean(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOf(rapid.SampledFrom([]string{"a", "b", "", ".", "..", "...", "é"})).Draw(t, "parts")
		key := strings.Join(parts, "/")
		clean, two := AsPath(key)
		if _, third := AsPath(clean); third || two && clean == key || strings.HasPrefix(clean, "../") {
			t.Fatalf("%q: %q, %t", key, clean, two)
		}
	})
}

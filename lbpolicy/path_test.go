package lbpolicy

import (
	"net/url"
	"path"
	"regexp"
	"strings"
	"testing"
)

func TestPathsThatCouldLeaveAPrefix(t *testing.T) {
	for _, p := range []string{
		"/..", "/../system", "/a/../../x", "/%2e%2e/x", "/.%2e/x", "/..%2fsystem", "//../x", "/a/..", "/./x", "/a/.",
		"/..;/x", "/..;v=1/x", "/..%3bx/y", `/a/..%5C..%5Cx`, "/%252e%252e/x", "/%25252e%25252e/x", "/..%252fx",
		"/%2525252525252525252e/", "/..%00/x", "/..%09/x", "/%20../x", "/..%3fx", "/..%23x", "/%c0%ae%c0%ae/x", "/..%c0%afx",
		"/%25u002e%25u002e/x", "/%5c../x", "..", "../x",
	} {
		if !leavesPrefix(parsePath(t, p)) {
			t.Errorf("%q may pass", p)
		}
	}
	for _, p := range []string{
		"", "/", "*", "/summarise", "/a.b/c", "/...", "/.well-known/x", "/a..b", "/..a", "/a/b..", "/100%25", "/a;b/c", "/%E2%82%AC", "/a%2Fb",
		"/x%252Fy", "/file.tar.gz;v=1", "/%2525", "/a%3F..b",
	} {
		if leavesPrefix(parsePath(t, p)) {
			t.Errorf("%q is refused", p)
		}
	}
}

func parsePath(t testing.TB, raw string) *url.URL {
	t.Helper()
	decoded, err := url.PathUnescape(raw)
	if err != nil {
		t.Skip("not a path that a request can have")
	}
	return &url.URL{Path: decoded, RawPath: raw}
}

var parameters = regexp.MustCompile(`;[^/]*`)

// readings are what function platforms may make of a path, each written down as they do
// it: with "\" for "/", without parameters, without what follows a query, decoded again.
// Nothing of the code under test is in it.
func readings(p string) []string {
	all := []string{p}
	for range 2 {
		for _, read := range []func(string) string{
			func(p string) string { return strings.ReplaceAll(p, `\`, "/") },
			func(p string) string { return parameters.ReplaceAllString(p, "") },
			func(p string) string { p, _, _ = strings.Cut(p, "?"); return p },
			func(p string) string { p, _, _ = strings.Cut(p, "#"); return p },
			func(p string) string { p, _, _ = strings.Cut(p, "\x00"); return p },
			func(p string) string { return strings.NewReplacer("\t", "", "\n", "", "\r", "").Replace(p) },
			func(p string) string {
				if d, err := url.PathUnescape(p); err == nil {
					return d
				}
				return p
			},
			func(p string) string {
				return strings.NewReplacer("\xc0\xae", ".", "\xc0\xaf", "/", "%2e", ".", "%2E", ".", "%2f", "/", "%2F", "/", "%5c", "/", "%5C", "/").Replace(p)
			},
		} {
			for _, known := range all {
				if r := read(known); len(all) < 1000 && r != known {
					all = append(all, r)
				}
			}
		}
	}
	return all
}

// What passes stays below the prefix, whatever a server behind it makes of the path.
func FuzzPathsStayBelowThePrefix(f *testing.F) {
	for _, p := range []string{"/../system", "/..;/x", "/%252e%252e/x", `/a/..%5C..%5Cx`, "/..%00/x", "/..%3fx", "/%c0%ae./x", "/a;/../../x", "/.%0a./x"} {
		f.Add(p)
	}
	const prefix = "/base/function"
	f.Fuzz(func(t *testing.T, raw string) {
		if len(raw) > 200 || !strings.HasPrefix(raw, "/") {
			return
		}
		u := parsePath(t, raw)
		if leavesPrefix(u) {
			return
		}
		for _, sent := range []string{u.Path, u.EscapedPath()} {
			for _, r := range readings(sent) {
				got := path.Clean(prefix + r)
				if got != prefix && !strings.HasPrefix(got, prefix+"/") && !sameSegment(r) {
					t.Fatalf("%q passes, and may be read as %q: %q", raw, r, got)
				}
			}
		}
	})
}

// sameSegment says whether a reading only lengthens the prefix's last segment, where it
// lost its leading slash.
func sameSegment(r string) bool { return !strings.HasPrefix(r, "/") && !strings.Contains(r, "..") }

package request

import (
	"net/http"
	"slices"
	"strings"

	"github.com/fado-project/fado/control"
)

// Preconditions reads If-Match and If-None-Match of a change (RFC 9110, sections 13.1.1
// and 13.1.2).
func Preconditions(h http.Header) (control.Precondition, error) {
	var pre control.Precondition
	var err error
	if pre.IfMatch, err = IfMatch(h); err != nil {
		return pre, err
	}
	if h.Values("If-None-Match") != nil {
		_, star, err := entityTags("If-None-Match", h)
		if err != nil {
			return pre, err
		}
		if !star {
			return pre, Bad("If-None-Match: expected * on a request that changes something")
		}
		pre.IfNoneMatchAny = true
	}
	return pre, nil
}

// IfMatch returns the tags of If-Match, or "*" alone; nil when it was not sent.
func IfMatch(h http.Header) ([]string, error) {
	if h.Values("If-Match") == nil {
		return nil, nil
	}
	tags, star, err := entityTags("If-Match", h)
	if err != nil {
		return nil, err
	}
	if star {
		return []string{"*"}, nil
	}
	// If-Match compares strongly, so weak tags match nothing. The list stays
	// non-nil without them: a condition that can't hold.
	strong := []string{}
	for _, t := range tags {
		if !strings.HasPrefix(t, "W/") {
			strong = append(strong, t)
		}
	}
	return strong, nil
}

// Matches says whether If-Match of a GET, where sent, names the tag.
func Matches(h http.Header, etag string) (bool, error) {
	tags, err := IfMatch(h)
	return tags == nil || slices.Contains(tags, "*") || slices.Contains(tags, etag), err
}

// NotModified says whether If-None-Match of a GET names the tag (weak comparison).
func NotModified(h http.Header, etag string) (bool, error) {
	if h.Values("If-None-Match") == nil {
		return false, nil
	}
	tags, star, err := entityTags("If-None-Match", h)
	if err != nil || star {
		return star, err
	}
	return slices.ContainsFunc(tags, func(t string) bool {
		return strings.TrimPrefix(t, "W/") == etag
	}), nil
}

// entityTags parses a header that holds "*" or a list of entity tags.
func entityTags(name string, h http.Header) (tags []string, star bool, err error) {
	rest := strings.Trim(strings.Join(h.Values(name), ","), " \t")
	if rest == "*" {
		return nil, true, nil
	}
	rest = strings.TrimLeft(rest, " \t,") // a list may have empty elements (RFC 9110, section 5.6.1.2)
	for rest != "" {
		tag, after, ok := cutEntityTag(rest)
		if !ok {
			return nil, false, Bad("%s: %q: expected * or entity tags such as \"7\", separated by commas", name, strings.Join(h.Values(name), ", "))
		}
		tags = append(tags, tag)
		rest = strings.TrimLeft(after, " \t,")
	}
	if tags == nil {
		return nil, false, Bad("%s: empty: expected * or entity tags such as \"7\"", name)
	}
	return tags, false, nil
}

// cutEntityTag takes the first entity tag off a list. A comma is legal inside the
// quotes, which is why the list can't be split at commas.
func cutEntityTag(s string) (tag, rest string, ok bool) {
	start := 0
	if strings.HasPrefix(s, "W/") {
		start = 2
	}
	if len(s) <= start || s[start] != '"' {
		return "", "", false
	}
	end := strings.IndexByte(s[start+1:], '"')
	if end < 0 {
		return "", "", false
	}
	end += start + 2
	rest = strings.TrimLeft(s[end:], " \t")
	return s[:end], rest, rest == "" || rest[0] == ','
}

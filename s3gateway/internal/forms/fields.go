package forms

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/fado-project/fado/s3gateway/internal/s3err"
	"github.com/fado-project/fado/s3gateway/internal/wire"
)

// Status reads success_action_status. What S3 does not know of is its default.
func Status(s string) (int, error) {
	switch s {
	case "200", "201":
		return strconv.Atoi(s)
	}
	return http.StatusNoContent, nil
}

// Headers are the fields of a form that belong to the object, as headers.
func Headers(fields map[string]string) (http.Header, error) {
	h := make(http.Header)
	for name, v := range fields {
		switch {
		case name == "acl":
			h.Set("X-Amz-Acl", v)
		case name == "tagging":
			list, err := tags(v)
			if err != nil {
				return nil, err
			}
			h.Set("X-Amz-Tagging", list)
		case name == "content-md5", strings.HasPrefix(name, "x-amz-checksum-"): // verified here
		case strings.HasPrefix(name, "x-amz-meta-"), strings.HasPrefix(name, "x-amz-server-side-"), strings.HasPrefix(name, "x-amz-object-lock-"),
			name == "x-amz-storage-class", name == "x-amz-website-redirect-location",
			name == "cache-control", name == "expires", strings.HasPrefix(name, "content-"):
			h.Set(name, v)
		}
	}
	for name, values := range h {
		if strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.") != "" {
			return nil, s3err.BadRequest("InvalidArgument", "The field %q can't be a header's name.", name)
		}
		if strings.ContainsFunc(values[0], func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
			return nil, s3err.BadRequest("InvalidArgument", "The field %s holds a control character.", name)
		}
	}
	if err := wire.CheckSize(&http.Request{Header: h}); err != nil {
		return nil, err
	}
	return wire.RequestHeaders(h), wire.CheckHeaders(h)
}

// tags reads a form's field tagging, which is a document, as the value of x-amz-tagging.
func tags(doc string) (string, error) {
	var set wire.TagSet
	if err := wire.ParseXML([]byte(doc), &set); err != nil {
		return "", err
	}
	return set.Header(), nil
}

// Redirection is where a form leads its browser, with what was stored.
func Redirection(fields map[string]string, bucket, key, etag string) (string, bool) {
	to := fields["success_action_redirect"]
	if to == "" {
		to = fields["redirect"] // its former name
	}
	u, err := url.Parse(to)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return "", false
	}
	q := u.Query()
	q.Set("bucket", bucket)
	q.Set("key", key)
	q.Set("etag", etag)
	u.RawQuery = q.Encode()
	return u.String(), true
}

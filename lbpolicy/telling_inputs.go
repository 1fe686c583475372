package lbpolicy

import (
	"net/url"
	"strconv"
	"time"

	"github.com/fado-project/fado/routing"
)

// inputsHeader tells a function where to read each of its inputs, as a list of strings with
// parameters (RFC 9651): "s3://b/k";storage="https://…";bucket="p-b";bytes=5;local. url gives a URL that
// needs no key, "" for none; it may be nil.
func inputsHeader(inputs []routing.InputAt, url func(*routing.InputAt) string) string {
	b := make([]byte, 0, 128*len(inputs))
	for i := range inputs {
		in := &inputs[i]
		if i > 0 {
			b = append(b, ", "...)
		}
		b = appendQuoted(b, "s3://"+in.Bucket+"/"+escaped(in.Key))
		b = appendQuoted(append(b, ";storage="...), in.Storage)
		b = appendQuoted(append(b, ";bucket="...), in.PhysicalBucket)
		if in.Size >= 0 {
			b = strconv.AppendInt(append(b, ";bytes="...), in.Size, 10)
		}
		if in.Local {
			b = append(b, ";local"...)
		}
		if url == nil {
			continue
		}
		if u := url(in); u != "" {
			b = appendQuoted(append(b, ";url="...), u)
		}
	}
	return string(b)
}

// escaped is a key in a URL's path.
func escaped(key string) string { return (&url.URL{Path: key}).EscapedPath() }

// appendQuoted appends a string of RFC 9651. What such a string can't hold is percent-encoded.
func appendQuoted(b []byte, s string) []byte {
	const hex = "0123456789ABCDEF"
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ' || c > '~':
			b = append(b, '%', hex[c>>4], hex[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// presigned returns what gives a URL per object, nil where presign is off.
func (p *DataAware) presigned() func(*routing.InputAt) string {
	if p.presigner == nil {
		return nil
	}
	return func(in *routing.InputAt) string {
		if in.Scope != routing.ScopeObject {
			return ""
		}
		return p.presigner.Presign(in.Cluster, in.Bucket, in.Key, time.Duration(p.Presign))
	}
}

// tellInputs sets or removes the header X-FaDO-Inputs of an attempt.
func (p *DataAware) tellInputs(st *requestState, d *routing.Decision) {
	h := st.headersForAttempt()
	delete(h, headerInputs) // a client's
	if !p.forward || d.Inputs() == 0 {
		return
	}
	if inputs := d.AppendInputs(nil, st.endpoint); len(inputs) > 0 {
		h[headerInputs] = []string{inputsHeader(inputs, p.presigned())}
	}
}

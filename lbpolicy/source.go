package lbpolicy

import (
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/fado-project/fado/routing"
)

// source is where the names of buckets or objects come from: a header, read as it
// is, or any other placeholder.
type source struct {
	header      string // canonical name; "" when it is not a header's placeholder
	placeholder string
}

// newSource recognises {header.X} and {http.request.header.X}. A header's values
// are read one by one; the placeholder would join them.
func newSource(value string) source {
	name, ok := strings.CutPrefix(value, "{http.request.header.")
	if !ok {
		name, ok = strings.CutPrefix(value, "{header.")
	}
	if name, closed := strings.CutSuffix(name, "}"); ok && closed && name != "" && !strings.ContainsAny(name, "{}*") {
		return source{header: http.CanonicalHeaderKey(name)}
	}
	return source{placeholder: value}
}

// evaluate returns the value of a source that is not a header.
func (s source) evaluate(r *http.Request) string {
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return ""
	}
	return repl.ReplaceAll(s.placeholder, "")
}

func isUnreadable(in routing.Input) bool { return in.Bucket == unreadable }

// isNoName says whether no bucket can have the name of an input's, so that another reader
// may take it for that of another: "eu%2Ddata", " eu-data".
func isNoName(in routing.Input) bool {
	for i := range len(in.Bucket) {
		switch c := in.Bucket[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '.':
		default:
			return true
		}
	}
	return false
}

// unreadable stands for an input that can't be read, or for more than there may be. It
// can't be the name of a bucket. A request that has it is refused, whatever else it names:
// it is never routed by half of what it asks for.
const unreadable = "(unreadable)"

package console

import (
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// mounted returns the path of a request below the place where the console is mounted, and that
// place, which ends with a slash. The path is "" where the slash is missing. What stands before
// this handler may have stripped the place off (handle_path), or at, the option base_path, names it.
func mounted(r *http.Request, at string) (name, base string, ok bool) {
	name = r.URL.Path
	if at != "" {
		if name == at {
			return "", at + "/", true
		}
		if name, ok = strings.CutPrefix(name, at+"/"); !ok {
			return "", "", false
		}
		return "/" + name, at + "/", true
	}
	base = "/"
	if orig, has := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); has && orig.URL != nil {
		if before, cut := strings.CutSuffix(orig.URL.Path, name); cut {
			base = "/" + strings.Trim(before, "/") + "/"
		}
	}
	if base == "//" {
		base = "/"
	}
	if !strings.HasPrefix(name, "/") {
		name = "/" + name
	}
	return name, base, true
}

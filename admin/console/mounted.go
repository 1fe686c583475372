package console

import (
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// mounted returns the path of a request below the place where the console is mounted, and that
// place, which ends with a slash. The path is "" where the slash is missing. What stands before
// this handler may have stripped the place off (handle_path), or base_path names it.
func (h *Handler) mounted(r *http.Request) (name, base string, ok bool) {
	name = r.URL.Path
	if h.BasePath != "" {
		if name == h.BasePath {
			return "", h.BasePath + "/", true
		}
		if name, ok = strings.CutPrefix(name, h.BasePath+"/"); !ok {
			return "", "", false
		}
		return "/" + name, h.BasePath + "/", true
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

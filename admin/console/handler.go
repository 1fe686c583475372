package console

import (
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/fado-project/fado/admin"
)

// Handler serves the console. Without users, an identity or tokens that were made before, only
// a link of "caddy fado sign-in" opens it. It never calls the next handler.
type Handler struct {
	// People who sign in with a name and a password. Default: none.
	Users []*User `json:"users,omitempty"`

	// Who is signed in by the site's own authentication. Default: nobody.
	Identity *Identity `json:"identity,omitempty"`

	// Whether tokens are refused. Default: false.
	TokensOff bool `json:"tokens_off,omitempty"`

	// How long a session lives without use. Default: 1h.
	SessionIdle caddy.Duration `json:"session_idle,omitempty"`

	// How long a session lives at most. Default: 12h.
	SessionAbsolute caddy.Duration `json:"session_absolute,omitempty"`

	// What roles may do with the bytes of objects: none, read or write. Default: none for viewer,
	// read for operator, write for admin.
	Data map[admin.Role]Right `json:"data,omitempty"`

	// How browsers reach the S3 endpoint: scheme and host, such as https://s3.example.org.
	// Default: the fado_s3 of the same configuration.
	S3 string `json:"s3,omitempty"`

	// Origins, besides the site's own, that the console has where a proxy before it sends another Host. Pages of
	// other sites can't read its answers. Default: none.
	TrustedOrigins []string `json:"trusted_origins,omitempty"`

	// The path below which the console is served, if nothing before it strips that off.
	// Default: found from the request.
	BasePath string `json:"base_path,omitempty"`

	log     *zap.Logger
	app     func() (App, error)
	gateway interface {
		Serve(w http.ResponseWriter, r *http.Request, as admin.Role)
	}
	pages    *pages
	sites    *sites
	accounts *accounts
	limit    *limiter
	passes   *passes
	streams  *streams
	now      func() time.Time
}

const (
	maxName = 128
	// maxSession bounds how long a session may live.
	maxSession = 30 * 24 * time.Hour
)

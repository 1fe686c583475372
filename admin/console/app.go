package console

import (
	"context"
	"fmt"

	"github.com/caddyserver/caddy/v2"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/s3gateway/urls"
)

// App is what the console needs of the running fado app, which implements it.
type App interface {
	// Control returns what the configuration runs on; nil before the app has started.
	Control() *control.Control
	// Version of FaDO, for people.
	Version() string
	// Endpoints are the S3 endpoints of the configuration.
	Endpoints() *urls.Endpoints
	// URLKey returns the access key that those of signed URLs are derived from.
	URLKey(ctx context.Context) (*catalog.Key, error)
}

// findApp returns the app of the active configuration: this one may be of a configuration that
// ends.
func findApp() (App, error) {
	mod, err := caddy.ActiveContext().AppIfConfigured("fado")
	if err != nil {
		return nil, err
	}
	app, ok := mod.(App)
	if !ok {
		return nil, fmt.Errorf("the fado app is a %T, which is not a console.App", mod)
	}
	return app, nil
}

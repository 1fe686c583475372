package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2"

	"github.com/fado-project/fado/admin/internal/request"
)

// apiError turns an error into the one Caddy answers with. Caddy logs what it wraps.
func (a *API) apiError(r *http.Request, err error) error {
	if status := request.StatusOf(err); status != 0 {
		return caddy.APIError{HTTPStatus: status, Err: request.Bounded(err)}
	}
	wrapped := fmt.Errorf("%s %s: %w", r.Method, r.URL.Path, err)
	if errors.Is(err, context.DeadlineExceeded) {
		return caddy.APIError{
			HTTPStatus: http.StatusServiceUnavailable, Err: wrapped,
			Message: "no answer within the time allowed; see the log",
		}
	}
	return caddy.APIError{
		HTTPStatus: http.StatusInternalServerError, Err: wrapped,
		Message: "internal error; see the log",
	}
}

package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// requestError is an error whose text is meant for the client.
type requestError struct {
	status int
	err    error
}

// Error implements error.
func (e *requestError) Error() string { return e.err.Error() }

// Unwrap gives what errors.Is and errors.As look for.
func (e *requestError) Unwrap() error { return e.err }

func badRequest(format string, args ...any) error {
	return &requestError{http.StatusBadRequest, fmt.Errorf(format, args...)}
}

func refused(format string, args ...any) error {
	return &requestError{http.StatusConflict, fmt.Errorf(format, args...)}
}

func unavailable(format string, args ...any) error {
	return &requestError{http.StatusServiceUnavailable, fmt.Errorf(format, args...)}
}

// about puts what a change was about before the sentinels that don't say it.
func about(kind catalog.Kind, name string, err error) error {
	for _, sentinel := range []error{
		control.ErrNotFound, control.ErrExists, control.ErrConfigOwned, control.ErrPrecondition,
	} {
		if errors.Is(err, sentinel) {
			return fmt.Errorf("%s %q: %w", kind, name, sentinel)
		}
	}
	return err
}

// statusOf gives the HTTP status of an error, 0 when its text is not for the client.
func statusOf(err error) int {
	var (
		request *requestError
		invalid *catalog.ValidationError
		inUse   *control.InUseError
	)
	switch {
	case errors.As(err, &request):
		return request.status
	case errors.As(err, &invalid):
		return violationStatus(invalid)
	case errors.As(err, &inUse),
		errors.Is(err, control.ErrExists),
		errors.Is(err, control.ErrConfigOwned),
		errors.Is(err, replication.ErrPath):
		return http.StatusConflict
	case errors.Is(err, control.ErrNotFound):
		return http.StatusNotFound
	case errors.Is(err, control.ErrPrecondition):
		return http.StatusPreconditionFailed
	case errors.Is(err, state.ErrUnavailable),
		errors.Is(err, replication.ErrOff),
		isStorage(err):
		return http.StatusServiceUnavailable
	default:
		return 0
	}
}

// isStorage says that a storage could not do what a request needs of it; the reason is
// for the client, whose storage it is.
func isStorage(err error) bool {
	for _, sentinel := range []error{
		storage.ErrUnavailable, storage.ErrDenied, storage.ErrNoBucket, storage.ErrFull,
		storage.ErrRefused, storage.ErrInconsistent, storage.ErrCorrupt, storage.ErrUnsupported,
	} {
		if errors.Is(err, sentinel) {
			return true
		}
	}
	return false
}

// violationStatus is 409 when every value is good by itself and only stands against
// another resource.
func violationStatus(e *catalog.ValidationError) int {
	for _, v := range e.Violations {
		if !v.Conflict {
			return http.StatusBadRequest
		}
	}
	return http.StatusConflict
}

// maxErrorText bounds an error as it is told and logged: values that are shown in it can be
// as large as the body was.
const maxErrorText = 64 << 10

// bounded returns err, its text cut where it is too long.
func bounded(err error) error {
	text := err.Error()
	if len(text) <= maxErrorText {
		return err
	}
	cut := maxErrorText
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return fmt.Errorf("%s… and %d bytes more", text[:cut], len(text)-cut)
}

// apiError turns an error into the one Caddy answers with. Caddy logs what it wraps.
func (a *API) apiError(r *http.Request, err error) error {
	if status := statusOf(err); status != 0 {
		return caddy.APIError{HTTPStatus: status, Err: bounded(err)}
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

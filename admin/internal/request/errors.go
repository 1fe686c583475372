package request

import (
	"errors"
	"fmt"
	"net/http"
	"unicode/utf8"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// told is an error whose text is meant for the client.
type told struct {
	status int
	err    error
}

// Error implements error.
func (e *told) Error() string { return e.err.Error() }

// Unwrap gives what errors.Is and errors.As look for.
func (e *told) Unwrap() error { return e.err }

// Fail returns an error that answers with a status, and with its text.
func Fail(status int, err error) error { return &told{status, err} }

// Bad returns the error of a request that says something wrong: 400.
func Bad(format string, args ...any) error {
	return &told{http.StatusBadRequest, fmt.Errorf(format, args...)}
}

// Refused returns the error of a request that can't be done as things are: 409.
func Refused(format string, args ...any) error {
	return &told{http.StatusConflict, fmt.Errorf(format, args...)}
}

// Unavailable returns the error of a request that can't be answered now: 503.
func Unavailable(format string, args ...any) error {
	return &told{http.StatusServiceUnavailable, fmt.Errorf(format, args...)}
}

// About puts what a change was about before the sentinels that don't say it.
func About(kind catalog.Kind, name string, err error) error {
	for _, sentinel := range []error{
		control.ErrNotFound, control.ErrExists, control.ErrConfigOwned, control.ErrPrecondition,
	} {
		if errors.Is(err, sentinel) {
			return fmt.Errorf("%s %q: %w", kind, name, sentinel)
		}
	}
	return err
}

// StatusOf gives the HTTP status of an error, 0 when its text is not for the client.
func StatusOf(err error) int {
	var (
		own     *told
		invalid *catalog.ValidationError
		inUse   *control.InUseError
	)
	switch {
	case errors.As(err, &own):
		return own.status
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

// MaxText bounds an error as it is told and logged: values that are shown in it can be
// as large as the body was.
const MaxText = 64 << 10

// Bounded returns err, its text cut where it is too long.
func Bounded(err error) error {
	text := err.Error()
	if len(text) <= MaxText {
		return err
	}
	cut := MaxText
	for cut > MaxText-utf8.UTFMax && !utf8.RuneStart(text[cut]) { // what is no text is cut anywhere
		cut--
	}
	return fmt.Errorf("%s… and %d bytes more", text[:cut], len(text)-cut)
}

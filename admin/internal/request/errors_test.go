package request

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

func TestStatusOf(t *testing.T) {
	bad, conflict := catalog.Violation{Field: "f"}, catalog.Violation{Field: "f", Conflict: true}
	for _, tc := range []struct {
		err    error
		status int
	}{
		{Bad("x"), 400},
		{Refused("x"), 409},
		{Unavailable("x: %w", errors.New("y")), 503},
		{Fail(http.StatusRequestEntityTooLarge, errors.New("x")), 413},
		{&catalog.ValidationError{Violations: []catalog.Violation{bad}}, 400},
		{&catalog.ValidationError{Violations: []catalog.Violation{conflict, bad}}, 400},
		{&catalog.ValidationError{Violations: []catalog.Violation{conflict}}, 409},
		{&control.InUseError{What: "zone z"}, 409},
		{control.ErrNotFound, 404},
		{control.ErrExists, 409},
		{control.ErrConfigOwned, 409},
		{control.ErrPrecondition, 412},
		{replication.ErrPath, 409},
		{state.ErrUnavailable, 503},
		{replication.ErrOff, 503},
		{storage.ErrUnavailable, 503},
		{storage.ErrDenied, 503},
		{storage.ErrNoBucket, 503},
		{storage.ErrFull, 503},
		{storage.ErrRefused, 503},
		{storage.ErrInconsistent, 503},
		{storage.ErrCorrupt, 503},
		{storage.ErrUnsupported, 503},
		{Unavailable("x: %w", control.ErrNotFound), 503}, // what was decided stands before what it comes from
		// What is not for the client.
		{context.DeadlineExceeded, 0},
		{state.ErrCorrupt, 0},
		{errors.New("anything"), 0},
	} {
		if got := StatusOf(fmt.Errorf("doing: %w", tc.err)); got != tc.status {
			t.Errorf("%v: %d, want %d", tc.err, got, tc.status)
		}
	}
}

// What a change was about is said where the error does not say it, and nothing else is lost.
func TestAbout(t *testing.T) {
	err := About(catalog.KindZone, "eu", fmt.Errorf("deep below: %w", control.ErrNotFound))
	if !errors.Is(err, control.ErrNotFound) || !strings.HasPrefix(err.Error(), `zone "eu": `) || strings.Contains(err.Error(), "deep") {
		t.Error(err)
	}
	for _, sentinel := range []error{control.ErrExists, control.ErrConfigOwned, control.ErrPrecondition} {
		if err := About(catalog.KindBucket, "b", sentinel); !errors.Is(err, sentinel) || !strings.HasPrefix(err.Error(), `bucket "b": `) {
			t.Error(err)
		}
	}
	if other := errors.New("other"); About(catalog.KindZone, "eu", other) != other || About(catalog.KindZone, "eu", nil) != nil { //nolint:errorlint // it is that value
		t.Error("an error that says what it is about is another one")
	}
	if cause := errors.New("cause"); !errors.Is(Unavailable("x: %w", cause), cause) {
		t.Error("the cause is lost")
	}
}

func TestBounded(t *testing.T) {
	short := errors.New(strings.Repeat("x", MaxText))
	if Bounded(short) != short { //nolint:errorlint // it is that value
		t.Error("a text of the largest size is cut")
	}
	long := Bounded(errors.New(strings.Repeat("x", MaxText-1) + "éé")).Error()
	if !utf8.ValidString(long) || !strings.HasSuffix(long, "x… and 4 bytes more") {
		t.Errorf("…%q", long[MaxText-10:])
	}
	if rubbish := Bounded(errors.New(strings.Repeat("\x80", MaxText+1))).Error(); len(rubbish) > MaxText+100 {
		t.Errorf("of what is no text %d bytes are told", len(rubbish))
	}
}

package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/fado-project/fado/admin/internal/request"
	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

func TestStatusOfErrors(t *testing.T) {
	bad, conflict := catalog.Violation{Field: "f"}, catalog.Violation{Field: "f", Conflict: true}
	for _, tc := range []struct {
		err    error
		status int
	}{
		{request.Bad("x"), 400},
		{&catalog.ValidationError{Violations: []catalog.Violation{bad}}, 400},
		{&catalog.ValidationError{Violations: []catalog.Violation{conflict, bad}}, 400},
		{&catalog.ValidationError{Violations: []catalog.Violation{conflict}}, 409},
		{&control.InUseError{What: "zone z"}, 409},
		{control.ErrNotFound, 404},
		{control.ErrExists, 409},
		{control.ErrConfigOwned, 409},
		{control.ErrPrecondition, 412},
		{state.ErrUnavailable, 503},
		{replication.ErrOff, 503},
		{storage.ErrUnavailable, 503},
		{storage.ErrDenied, 503},
		{context.DeadlineExceeded, 503},
		{state.ErrCorrupt, 500},
		{errors.New("anything"), 500},
	} {
		api := &API{log: zap.NewNop()}
		err := api.apiError(httptest.NewRequest("GET", "/fado/", nil), fmt.Errorf("doing: %w", tc.err))
		var got caddy.APIError
		if !errors.As(err, &got) || got.HTTPStatus != tc.status {
			t.Errorf("%v: %d, want %d", tc.err, got.HTTPStatus, tc.status)
		}
	}
}

package mirror

import (
	"context"
	"fmt"
	"time"

	"github.com/fado-project/fado/state"
)

// standby stands in for a store that is out of reach: reads are the mirror's, changes are
// refused.
type standby struct {
	state.Store
	kind string
	why  func() error
}

func (s *standby) refuse() error {
	if err := s.why(); err != nil {
		return err
	}
	return fmt.Errorf("the store is being opened: %w", state.ErrUnavailable)
}

func (s *standby) Kind() string { return s.kind }

func (s *standby) Seq(context.Context) (state.Seq, error) { return 0, s.refuse() }

func (s *standby) Update(context.Context, func(state.Tx) error) (state.Seq, error) {
	return 0, s.refuse()
}

func (s *standby) SaveCopies(context.Context, ...state.Copy) (int, error) { return 0, s.refuse() }

func (s *standby) AddPending(context.Context, ...state.Pending) ([]int64, error) {
	return nil, s.refuse()
}

func (s *standby) ClaimPending(context.Context, string, int, time.Duration, time.Time) ([]state.Pending, error) {
	return nil, s.refuse()
}

func (s *standby) ClaimPendingIn(context.Context, string, string, int, time.Duration, time.Time) ([]state.Pending, error) {
	return nil, s.refuse()
}

func (s *standby) ExtendClaims(context.Context, string, time.Time, ...state.PendingKey) ([]state.PendingKey, error) {
	return nil, s.refuse()
}

func (s *standby) FinishPending(context.Context, ...state.PendingKey) ([]bool, error) {
	return nil, s.refuse()
}

func (s *standby) FailPending(context.Context, ...state.Pending) error { return s.refuse() }

func (s *standby) ReleaseClaims(context.Context, string) error { return s.refuse() }

func (s *standby) RetryPending(context.Context, state.PendingFilter, time.Time) (int, error) {
	return 0, s.refuse()
}

func (s *standby) Unhold(context.Context, state.PendingFilter, time.Time) (int, error) {
	return 0, s.refuse()
}

func (s *standby) GetMeta(context.Context, string) (string, error) { return "", s.refuse() }

func (s *standby) PutMeta(context.Context, string, string) error { return s.refuse() }

func (s *standby) TryLock(context.Context, string) (state.Lock, bool, error) {
	return nil, false, s.refuse()
}

func (s *standby) PutPulled(context.Context, ...state.Pulled) error { return s.refuse() }

func (s *standby) TouchPulled(context.Context, ...state.Pulled) error { return s.refuse() }

func (s *standby) DeletePulled(context.Context, ...state.PulledKey) error { return s.refuse() }

func (s *standby) PutUpload(context.Context, state.Upload) error { return s.refuse() }

func (s *standby) DeleteUpload(context.Context, string, string, string) error { return s.refuse() }

// Close leaves the mirror open: it is closed with Control.
func (s *standby) Close() error { return nil }

package postgres

import (
	"context"
	"errors"

	"go.uber.org/zap"

	"github.com/fado-project/fado/state"
)

// Open makes a store. It fails only for what waiting does not mend: a connection string
// that can't be read, ErrNewerSchema, ErrNoKey. A database that can't be reached now is
// logged, and every call says ErrUnavailable until it can.
func Open(ctx context.Context, o Options) (*Store, error) {
	o.setDefaults()
	s := &core{o: o, log: o.Log}
	s.done, s.end = context.WithCancel(context.Background())
	if err := s.configure(); err != nil {
		s.end()
		return nil, err
	}
	err := schema{s}.ready(ctx)
	switch {
	case errors.Is(err, state.ErrUnavailable) && !o.ReadOnly:
		s.log.Warn("the database can't be used now; continuing without it until it can", zap.Error(err))
	case err != nil:
		return nil, errors.Join(err, s.close()) //nolint:contextcheck // what it ends has contexts of its own
	}
	if o.ReadOnly && o.OneMoment {
		if err := s.holdMoment(ctx); err != nil {
			return nil, errors.Join(err, s.close()) //nolint:contextcheck // what it ends has contexts of its own
		}
	}
	if o.ReadOnly {
		return &Store{s}, nil
	}
	s.wg.Go(listener{s}.listen)
	s.wg.Go(upkeep{s}.maintain)
	return &Store{s}, nil
}

func (s *core) close() error {
	if s.closed.Swap(true) {
		return nil
	}
	s.leases.close()
	s.end()
	s.wg.Wait()
	s.watch.Close()
	s.pool.Close()
	s.moment.close()
	return nil
}

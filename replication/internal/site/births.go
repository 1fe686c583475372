package site

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/fado-project/fado/storage"
)

// How old a list of buckets may be; and however long it took to make, it is believed for a
// hundred times as long, so that a storage with very many buckets is not asked all the time.
const (
	birthsAge    = 30 * time.Second
	birthsLately = time.Second
	birthsShare  = 100
)

// births is what a storage told of when its buckets were made.
type births struct {
	flight singleflight.Group

	mu    sync.Mutex
	dates map[string]time.Time // by physical bucket; nil: to be asked
	began time.Time
	took  time.Duration
	turn  int // how often all was forgotten
}

// forget has the next question ask the storage; what is being asked now is not remembered.
func (b *births) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dates = nil
	b.turn++
}

func (b *births) turns() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.turn
}

// of returns a bucket's date if one is remembered that is not older than age.
func (b *births) of(physical string, age time.Duration, now time.Time) (born time.Time, known bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dates == nil || now.Sub(b.began) > max(age, birthsShare*b.took) {
		return born, false
	}
	return b.dates[physical], true
}

func (b *births) note(dates map[string]time.Time, turn int, began, now time.Time) {
	if dates == nil {
		dates = make(map[string]time.Time)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.turn != turn {
		return
	}
	b.dates, b.began, b.took = dates, began, now.Sub(began)
}

// BucketsChanged notes that FaDO made or removed a bucket there: a bucket of the same name
// that is made again was made at another time.
func (s *Site) BucketsChanged() { s.births.forget() }

// Born returns when a bucket was made, by a list of buckets that may be half a minute old;
// zero where the storage does not tell, or does not let these credentials know.
func (s *Site) Born(ctx context.Context, bucket string) (time.Time, error) {
	return born(ctx, s, bucket, birthsAge)
}

// BornLately is Born by a list that is not older than a second, unless making it takes long.
func (s *Site) BornLately(ctx context.Context, bucket string) (time.Time, error) {
	return born(ctx, s, bucket, birthsLately)
}

// BornNow is Born by a list made now.
func (s *Site) BornNow(ctx context.Context, bucket string) (time.Time, error) {
	dates, err := listBirths(ctx, s)
	return dates[s.reader.Physical(bucket)], err
}

func born(ctx context.Context, s *Site, bucket string, age time.Duration) (time.Time, error) {
	physical := s.reader.Physical(bucket)
	if at, known := s.births.of(physical, age, s.of.o.Now()); known {
		return at, nil
	}
	v, err, _ := s.births.flight.Do(strconv.Itoa(s.births.turns()), func() (any, error) { return listBirths(ctx, s) })
	dates, _ := v.(map[string]time.Time)
	return dates[physical], err
}

func listBirths(ctx context.Context, s *Site) (map[string]time.Time, error) {
	ctx, cancel := s.Call(ctx)
	defer cancel()
	began, turn := s.of.o.Now(), s.births.turns()
	dates, err := s.reader.Births(ctx)
	if errors.Is(err, storage.ErrUnsupported) || errors.Is(err, storage.ErrDenied) {
		dates, err = nil, nil
	}
	if err == nil {
		s.births.note(dates, turn, began, s.of.o.Now())
	}
	return dates, err
}

// Address returns the address of the storage; see catalog.Storage.Address.
func (s *Site) Address() int64 { return s.decl.Address() }
